import { readFileSync } from 'node:fs'
import { olderLogPath, parseEventLog, type ReadEvents, type RecordedEvent } from '@atomixos/config'

/** What the log and the file before it hold. No log is no problem: nothing has happened yet. */
export function readEvents(path: string): ReadEvents {
  const events: RecordedEvent[] = []
  const problems: string[] = []
  for (const file of [olderLogPath(path), path]) {
    try {
      const read = parseEventLog(readFileSync(file, 'utf8'), file)
      events.push(...read.events)
      problems.push(...read.problems)
    } catch (error) {
      const { code = 'unknown error' } = error as NodeJS.ErrnoException
      if (code !== 'ENOENT') problems.push(`${file} can't be read (${code})`)
    }
  }
  return { events, problems }
}
