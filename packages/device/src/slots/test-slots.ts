import type { SlotName, SlotState } from '@atomixos/config'
import { applyChange, type BootState } from './boot-state.ts'
import { noRecords, type SlotRecord, type SlotRecords } from './records.ts'
import { type Situation, settle } from './settle.ts'

export const now = '2026-05-01T12:00:00.000Z'
export const earlier = '2026-04-01T12:00:00.000Z'

/** `A confirmed 9, B pending 3; B A` */
export function bootState(text: string): BootState {
  const [slots, order] = text.split(';') as [string, string]
  const fields = slots.split(',').map((slot) => slot.trim().split(' ')) as [SlotName, string, string][]
  const state = Object.fromEntries(
    fields.map(([slot, name]) => [slot, name === '-' ? undefined : (name as SlotState)]),
  ) as BootState['state']
  const left = Object.fromEntries(fields.map(([slot, , tries]) => [slot, Number(tries)])) as BootState['left']
  return { order: order.trim().split(' ') as SlotName[], left, state }
}

export function renderBootState({ order, left, state }: BootState): string {
  const slot = (name: SlotName) => `${name} ${state[name] ?? '-'} ${left[name]}`
  return `${slot('A')}, ${slot('B')}; ${order.join(' ')}`
}

export function records(slots: SlotRecords['slots'], more: Partial<SlotRecords> = {}): SlotRecords {
  return { ...noRecords, slots, ...more }
}

export function record(state: SlotState, version: string, more: Partial<SlotRecord> = {}): SlotRecord {
  return { state, version, since: earlier, ...more }
}

/** What is in the environment afterwards, and what is told. */
export function settled(situation: Partial<Situation> & Pick<Situation, 'slot' | 'boot'>) {
  const result = settle({ version: '1.0.0', freshFlash: false, records: noRecords, now, ...situation })
  return {
    boot: renderBootState(applyChange(situation.boot, result.change)),
    events: result.events.map(({ event, slot, reason }) => `${event} ${slot}${reason ? `: ${reason}` : ''}`),
    records: result.records,
  }
}
