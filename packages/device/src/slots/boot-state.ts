import { bootVariables, type SlotName, type SlotState, slotStates } from '@atomixos/config'

/** What U-Boot's environment says of the slots. */
export interface BootState {
  /** Slots in the order in which they are tried; one that is not in it is tried last. */
  readonly order: readonly SlotName[]
  /** undefined: not set, or no digit. U-Boot then assumes three. */
  readonly left: Readonly<Record<SlotName, number | undefined>>
  /** undefined: never installed by an update, or not known any more. */
  readonly state: Readonly<Record<SlotName, SlotState | undefined>>
}

/** What of it is to become another value; written in one go, so that a power cut leaves all or nothing of it. */
export interface BootChange {
  readonly order?: readonly SlotName[]
  readonly left?: Partial<Record<SlotName, number | undefined>>
  readonly state?: Partial<Record<SlotName, SlotState | undefined>>
}

export const slotNames: readonly SlotName[] = ['A', 'B']

export function otherSlot(slot: SlotName): SlotName {
  return slot === 'A' ? 'B' : 'A'
}

/** From the output of `fw_printenv`. */
export function parseBootState(text: string): BootState {
  const variables = new Map(
    text.split('\n').flatMap((line) => {
      const equals = line.indexOf('=')
      return equals < 1 ? [] : [[line.slice(0, equals), line.slice(equals + 1)] as const]
    }),
  )
  const order = (variables.get(bootVariables.order) ?? '')
    .split(' ')
    .filter((word): word is SlotName => word === 'A' || word === 'B')
  const left = (slot: SlotName) => parseTries(variables.get(bootVariables.triesLeft[slot]))
  const state = (slot: SlotName) =>
    slotStates.find((known) => known === variables.get(bootVariables.state[slot]))
  return {
    order,
    left: { A: left('A'), B: left('B') },
    state: { A: state('A'), B: state('B') },
  }
}

export function applyChange(before: BootState, change: BootChange): BootState {
  return {
    order: change.order ?? before.order,
    left: { ...before.left, ...change.left },
    state: { ...before.state, ...change.state },
  }
}

/** What must be written to get from one state to the other: a script for `fw_setenv --script`; empty: nothing. */
export function renderBootChange(before: BootState, change: BootChange): string {
  const after = applyChange(before, change)
  const assignments: [name: string, value: string][] = []
  for (const slot of slotNames) {
    if (after.left[slot] !== before.left[slot])
      assignments.push([bootVariables.triesLeft[slot], String(after.left[slot] ?? '')])
    if (after.state[slot] !== before.state[slot])
      assignments.push([bootVariables.state[slot], after.state[slot] ?? ''])
  }
  if (after.order.join(' ') !== before.order.join(' ')) {
    assignments.push([bootVariables.order, after.order.join(' ')])
  }
  return assignments.map(([name, value]) => `${name}=${value}\n`).join('')
}

function parseTries(value: string | undefined): number | undefined {
  return value !== undefined && /^\d$/.test(value) ? Number(value) : undefined
}
