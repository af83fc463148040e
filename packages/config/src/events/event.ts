import type { SlotName } from '../slots.ts'
import type { LifeCycleEvent } from './life-cycle.ts'

/** What the writer says; number, time and boot are added. */
export interface NewEvent {
  readonly event: LifeCycleEvent
  readonly slot?: SlotName | undefined
  /** Of the system that the event is about. */
  readonly version?: string | undefined
  /** One line for people. */
  readonly reason?: string | undefined
  /** More of it: the last lines of a log. */
  readonly detail?: string | undefined
}

/** One line of the log. */
export interface RecordedEvent {
  /** Goes on over files and boots. */
  readonly seq: number
  /** ISO 8601, as the clock was then; the order is that of `seq`. */
  readonly time: string
  readonly bootId: string
  readonly slot: SlotName | null
  readonly event: string
  readonly version?: string | undefined
  readonly reason?: string | undefined
  readonly detail?: string | undefined
}

/** undefined for what is no whole event, such as a line that a power cut has torn. */
export function parseEventLine(line: string): RecordedEvent | undefined {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const { seq, time, bootId, slot, event, version, reason, detail } = value as Record<string, unknown>
  if (!Number.isSafeInteger(seq) || (seq as number) < 1) return undefined
  if (typeof time !== 'string' || typeof bootId !== 'string' || typeof event !== 'string') return undefined
  return {
    ...{ seq: seq as number, time, bootId, event },
    slot: slot === 'A' || slot === 'B' ? slot : null,
    ...(typeof version === 'string' && { version }),
    ...(typeof reason === 'string' && { reason }),
    ...(typeof detail === 'string' && { detail }),
  }
}
