import { eventLogPath, renderEvents } from '@atomixos/config'
import { readEvents } from '../events/read-events.ts'

export async function events(json: boolean): Promise<number> {
  const { events: recorded, problems } = readEvents(eventLogPath)
  process.stdout.write(json ? `${JSON.stringify(recorded, null, 2)}\n` : renderEvents(recorded))
  for (const problem of problems) process.stderr.write(`atomixctl: ${problem}\n`)
  return 0
}
