import { slotRecordsPath } from '@atomixos/config'
import { readOptional, writeDurably } from '../durable-file.ts'
import { parseRecords, renderRecords, type SlotRecords } from './records.ts'

export async function readRecords(): Promise<SlotRecords> {
  return parseRecords(await readOptional(slotRecordsPath))
}

/** Throws what the file system says, as when /data is full or not there. */
export async function writeRecords(before: SlotRecords, after: SlotRecords): Promise<void> {
  const text = renderRecords(after)
  if (text !== renderRecords(before)) await writeDurably(slotRecordsPath, text)
}
