import { appendFile, mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { eventLogPath } from '@atomixos/config'
import type { LifeCycleEvent } from './life-cycle-event.ts'

export async function recordEvents(events: readonly LifeCycleEvent[]): Promise<void> {
  await mkdir(dirname(eventLogPath), { recursive: true })
  for (const event of events) await appendFile(eventLogPath, `${JSON.stringify(event)}\n`)
}
