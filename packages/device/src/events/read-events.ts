import { readFileSync } from 'node:fs'
import { olderLogPath } from './append-event.ts'
import { parseEventLine, type RecordedEvent } from './event.ts'

export interface ReadEvents {
  /** In the order in which they were written. */
  readonly events: readonly RecordedEvent[]
  /** Lines and files that can't be read, one sentence each. */
  readonly problems: readonly string[]
}

/** What the log and the file before it hold. No log is no problem: nothing has happened yet. */
export function readEvents(path: string): ReadEvents {
  const events: RecordedEvent[] = []
  const problems: string[] = []
  for (const file of [olderLogPath(path), path]) {
    let text: string
    try {
      text = readFileSync(file, 'utf8')
    } catch (error) {
      const { code = 'unknown error' } = error as NodeJS.ErrnoException
      if (code !== 'ENOENT') problems.push(`${file} can't be read (${code})`)
      continue
    }
    for (const [index, line] of text.split('\n').entries()) {
      if (line === '') continue
      const event = parseEventLine(line)
      if (event !== undefined) events.push(event)
      else problems.push(`${file}: line ${index + 1} is damaged, as by a power cut; it is left out`)
    }
  }
  return { events, problems }
}
