import { bootTries, type NewEvent, type SlotName, type SlotState } from '@atomixos/config'
import { applyChange, type BootChange, type BootState, otherSlot } from './boot-state.ts'
import { noRecords, type SlotRecord, type SlotRecords, withFailedVersion, withSlot } from './records.ts'

/** What is known when the system has come up. */
export interface Situation {
  readonly slot: SlotName
  readonly version: string
  /** This boot follows a fresh flash: whatever the environment says is of an earlier life of the board. */
  readonly freshFlash: boolean
  readonly boot: BootState
  readonly records: SlotRecords
  /** ISO 8601. */
  readonly now: string
}

/** What is to be written, in this order, and told. */
export interface Settlement {
  readonly change: BootChange
  readonly records: SlotRecords
  readonly events: readonly NewEvent[]
}

/**
 * Draws the conclusions of which slot came up: whether an update failed, whether the slot that runs was good before
 * and so keeps its place. Says nothing about whether it is good now; a pending slot stays pending. Pure.
 */
export function settle(situation: Situation): Settlement {
  if (situation.freshFlash) return settleFreshFlash(situation)
  return [settleRunning, settleOther].reduce<Settlement>(
    (settled, conclude) => conclude({ ...situation, ...seen(situation, settled) }, settled),
    { change: {}, records: situation.records, events: [] },
  )
}

function seen(situation: Situation, settled: Settlement): Pick<Situation, 'boot' | 'records'> {
  return { boot: applyChange(situation.boot, settled.change), records: settled.records }
}

/** Slot B is empty: it must not cost any tries. The running slot is confirmed by provisioning, not by having started. */
function settleFreshFlash({ slot }: Situation): Settlement {
  const other = otherSlot(slot)
  return {
    change: {
      order: [slot],
      left: pair(slot, bootTries.pending, 0),
      state: { A: undefined, B: undefined },
    },
    records: noRecords,
    events: [{ event: 'boot', slot, detail: `first boot after flashing, slot ${other} is empty` }],
  }

  function pair(running: SlotName, runningTries: number, otherTries: number) {
    return running === 'A' ? { A: runningTries, B: otherTries } : { A: otherTries, B: runningTries }
  }
}

function settleRunning({ slot, version, boot, records, now }: Situation, settled: Settlement): Settlement {
  const record = records.slots[slot]
  // Both copies of the environment were lost (a new SPI flash): the record knows, if it is about this very version.
  const remembered = record?.version === version ? record.state : undefined
  const state = boot.state[slot] ?? (remembered === 'previous' ? 'confirmed' : remembered)
  switch (state) {
    case 'pending':
      return note(settled, { state: { [slot]: 'pending' } }, slot, known(record, 'pending', version, now))
    case 'confirmed':
    case 'previous':
    case 'revived': {
      const change: BootChange = { left: { [slot]: bootTries.confirmed }, state: { [slot]: 'confirmed' } }
      const confirmed = note(settled, change, slot, known(record, 'confirmed', version, now))
      if (state !== 'revived') return confirmed
      return tell(confirmed, {
        event: 'revived',
        slot,
        version,
        reason: 'no slot had tries left; the confirmed one was given one more and came up',
      })
    }
    default:
      // Never confirmed, or given up and yet all that starts: it may be started again, which is all that is said.
      return { ...settled, change: join(settled.change, { left: { [slot]: bootTries.pending } }) }
  }
}

function settleOther({ slot, boot, records, now }: Situation, settled: Settlement): Settlement {
  const other = otherSlot(slot)
  const record = records.slots[other]
  const tries = boot.left[other]
  switch (boot.state[other]) {
    case 'pending':
      if (!boot.order.includes(other)) return giveUpInterrupted(other, record, now, settled)
      return tries === 0 ? giveUp(slot, other, record, pendingReason(record), now, settled) : settled
    case 'confirmed':
      // While this one has yet to prove itself, that one is the way back.
      if (boot.state[slot] !== 'confirmed') return settled
      if (tries === 0) return giveUp(slot, other, record, confirmedReason, now, settled)
      // Somebody changed the order by hand; there is one confirmed slot.
      return note(
        settled,
        { state: { [other]: 'previous' } },
        other,
        record && { ...record, state: 'previous' },
      )
    default:
      return settled
  }
}

const confirmedReason = 'it was confirmed, and then could not start any more'

function pendingReason(record: SlotRecord | undefined): string {
  if (record?.failure) return `${record.failure.check}: ${record.failure.reason}`
  return 'it did not come up: a panic, a hang or power cuts used up its tries'
}

/** The other slot is out of tries and this one runs instead: a rollback. */
function giveUp(
  slot: SlotName,
  other: SlotName,
  record: SlotRecord | undefined,
  reason: string,
  now: string,
  settled: Settlement,
): Settlement {
  const version = record?.version ?? 'unknown'
  const failed: SlotRecord = { state: 'failed', version, since: now, reason }
  const noted = note(
    settled,
    { order: [slot], left: { [other]: 0 }, state: { [other]: 'failed' } },
    other,
    failed,
  )
  const remembered = record
    ? { ...noted, records: withFailedVersion(noted.records, { version, reason, time: now }) }
    : noted
  return tell(remembered, { event: 'rolled-back', slot: other, version, reason })
}

/** The slot holds half a system. Nothing is wrong with the version: it may be installed again. */
function giveUpInterrupted(
  other: SlotName,
  record: SlotRecord | undefined,
  now: string,
  settled: Settlement,
): Settlement {
  const reason = 'the installation did not come to its end'
  const version = record?.version ?? 'unknown'
  const noted = note(settled, { left: { [other]: 0 }, state: { [other]: 'failed' } }, other, {
    state: 'failed',
    version,
    since: now,
    reason,
  })
  return tell(noted, { event: 'install-failed', slot: other, version, reason })
}

function known(record: SlotRecord | undefined, state: SlotState, version: string, now: string): SlotRecord {
  if (record !== undefined && record.state === state && record.version === version) return record
  return { state, version, since: now }
}

function note(
  settled: Settlement,
  change: BootChange,
  slot: SlotName,
  record: SlotRecord | undefined,
): Settlement {
  return {
    ...settled,
    change: join(settled.change, change),
    records: record ? withSlot(settled.records, slot, record) : settled.records,
  }
}

function tell(settled: Settlement, event: NewEvent): Settlement {
  return { ...settled, events: [...settled.events, event] }
}

function join(first: BootChange, second: BootChange): BootChange {
  return {
    ...first,
    ...second,
    left: { ...first.left, ...second.left },
    state: { ...first.state, ...second.state },
  }
}
