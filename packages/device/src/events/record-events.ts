import { eventLogPath, type NewEvent } from '@atomixos/config'
import { appendEvent } from './append-event.ts'

/** Adds to the device's log. A disk that takes nothing is told to the journal, and stops nobody. */
export function recordEvents(events: readonly NewEvent[]): void {
  for (const event of events) {
    if (!appendEvent(eventLogPath, event)) {
      process.stdout.write(`<4>${eventLogPath} took no entry: ${JSON.stringify(event)}\n`)
    }
  }
}
