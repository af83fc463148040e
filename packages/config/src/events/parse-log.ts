import { parseEventLine, type RecordedEvent } from './event.ts'

export interface ReadEvents {
  /** In the order in which they were written. */
  readonly events: readonly RecordedEvent[]
  /** Lines and files that can't be read, one sentence each. */
  readonly problems: readonly string[]
}

/** The lines of one file of the log; `name` is how problems call it. Pure. */
export function parseEventLog(text: string, name: string): ReadEvents {
  const events: RecordedEvent[] = []
  const problems: string[] = []
  for (const [index, line] of text.split('\n').entries()) {
    if (line === '') continue
    const event = parseEventLine(line)
    if (event !== undefined) events.push(event)
    else problems.push(`${name}: line ${index + 1} is damaged, as by a power cut; it is left out`)
  }
  return { events, problems }
}

/** The file before the current one. */
export function olderLogPath(path: string): string {
  return `${path}.1`
}
