import { oneLine } from '../one-line.ts'
import type { RecordedEvent } from './event.ts'

/** A table for people; a blank line where the device was started anew. */
export function renderEvents(events: readonly RecordedEvent[]): string {
  if (events.length === 0) return 'no events\n'
  const rows = events.map((event) => [
    String(event.seq),
    oneLine(event.time, 30).replace(/\.\d+Z$/, 'Z'),
    event.slot ?? '-',
    oneLine(event.event, 30),
    oneLine(event.version ?? '-', 40),
    oneLine(event.reason ?? ''),
  ])
  const table = [['', 'TIME', 'SLOT', 'EVENT', 'VERSION', 'REASON'], ...rows]
  const widths = table[0]!.map((_, column) => Math.max(...table.map((row) => row[column]!.length)))
  const lines = table.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padStart(widths[0]!) : cell.padEnd(widths[column]!)))
      .join('  ')
      .trimEnd(),
  )
  const bootStarts = (index: number) => index > 0 && events[index]!.bootId !== events[index - 1]!.bootId
  return lines.map((line, index) => `${index > 0 && bootStarts(index - 1) ? '\n' : ''}${line}\n`).join('')
}
