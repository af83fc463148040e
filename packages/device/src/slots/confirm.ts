import { bootTries, type SlotName } from '@atomixos/config'
import { type BootChange, type BootState, otherSlot } from './boot-state.ts'
import { type SlotRecords, withoutFailedVersion, withSlot } from './records.ts'

/**
 * The running slot proved itself: it is the one confirmed slot from now on, and what was confirmed before is the way
 * back. Pure.
 */
export function confirm(situation: {
  readonly slot: SlotName
  readonly version: string
  readonly boot: BootState
  readonly records: SlotRecords
  readonly now: string
}): { change: BootChange; records: SlotRecords } {
  const { slot, version, boot, records, now } = situation
  const other = otherSlot(slot)
  const otherIsGood = boot.state[other] === 'confirmed' || boot.state[other] === 'previous'
  const otherRecord = records.slots[other]
  const confirmed = withSlot(withoutFailedVersion(records, version), slot, {
    state: 'confirmed',
    version,
    since: now,
  })
  return {
    change: {
      order: boot.order.includes(other) ? [slot, other] : [slot],
      left: { [slot]: bootTries.confirmed },
      state: { [slot]: 'confirmed', ...(otherIsGood && { [other]: 'previous' }) },
    },
    records:
      otherIsGood && otherRecord
        ? withSlot(confirmed, other, { ...otherRecord, state: 'previous' })
        : confirmed,
  }
}
