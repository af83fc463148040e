import type { SeenChannel } from '@atomixos/config'
import { readOptional, writeDurably } from '../durable-file.ts'

/** The last channel file that was followed, of one channel of one server. */
export interface ChannelRecord extends SeenChannel {
  readonly serverUrl: string
  readonly channel: string
  /** ISO 8601, when it was first seen. */
  readonly time: string
}

const recordsMax = 16

export async function readChannelRecords(path: string): Promise<readonly ChannelRecord[]> {
  return parseChannelRecords(await readOptional(path))
}

/** Throws what the file system says. */
export async function writeChannelRecords(path: string, records: readonly ChannelRecord[]): Promise<void> {
  await writeDurably(path, `${JSON.stringify({ format: 1, channels: records }, undefined, 2)}\n`)
}

export function withChannel(records: readonly ChannelRecord[], seen: ChannelRecord): ChannelRecord[] {
  const others = records.filter(
    ({ serverUrl, channel }) => serverUrl !== seen.serverUrl || channel !== seen.channel,
  )
  return [...others, seen].slice(-recordsMax)
}

/** Whatever is not as we write it is left out. */
export function parseChannelRecords(text: string | undefined): ChannelRecord[] {
  if (text === undefined) return []
  try {
    const { format, channels } = JSON.parse(text) as { format?: unknown; channels?: unknown }
    return format === 1 && Array.isArray(channels) ? channels.filter(isRecord) : []
  } catch {
    return []
  }
}

function isRecord(value: unknown): value is ChannelRecord {
  if (typeof value !== 'object' || value === null) return false
  const record = value as Partial<Record<keyof ChannelRecord, unknown>>
  return (
    [record.serverUrl, record.channel, record.identity, record.time].every(
      (text) => typeof text === 'string',
    ) && Number.isSafeInteger(record.sequence)
  )
}
