/**
 * What U-Boot's selector does with an environment, as docs/firmware.md says it, without U-Boot. Pure. The story
 * `firmware` has the real one make the same choices.
 */
import { bootVariables, type SlotName } from '@atomixos/config'

export interface Try {
  readonly slot: SlotName
  /** Tries left when it is on record, as U-Boot prints them. */
  readonly left: Readonly<Record<SlotName, string>>
}

export interface Selection {
  readonly tries: readonly Try[]
  /** undefined: in none of that many tries. */
  readonly started: SlotName | undefined
}

const orders = ['A B', 'B A', 'A', 'B']
const triesDefault = '3'

interface State {
  order: string
  readonly left: Record<SlotName, string>
  readonly state: Record<SlotName, string | undefined>
}

/**
 * @param variables What is stored; undefined: no copy is whole, so U-Boot has its defaults.
 * @param starts Whether a slot gets as far as a running system.
 */
export function simulateSelector(
  variables: ReadonlyMap<string, string> | undefined,
  starts: (slot: SlotName) => boolean,
  triesMax = 40,
): Selection {
  const state = load(variables)
  const tries: Try[] = []
  while (tries.length < triesMax) {
    let slot = nextSlot(state)
    if (slot === undefined) {
      revive(state)
      slot = nextSlot(state)!
    }
    state.left[slot] = spend(state.left[slot])
    tries.push({ slot, left: { ...state.left } })
    if (starts(slot)) return { tries, started: slot }
  }
  return { tries, started: undefined }
}

function load(variables: ReadonlyMap<string, string> | undefined): State {
  const stored = (name: string) => variables?.get(name)
  const order = stored(bootVariables.order) ?? ''
  const left = (slot: SlotName) => {
    const value = stored(bootVariables.triesLeft[slot]) ?? ''
    // What is no decimal number is not taken from storage.
    return /^-?\d+$/.test(value) ? value : triesDefault
  }
  return {
    order: orders.includes(order) ? order : 'A B',
    left: { A: left('A'), B: left('B') },
    state: { A: stored(bootVariables.state.A), B: stored(bootVariables.state.B) },
  }
}

function nextSlot({ order, left }: State): SlotName | undefined {
  const slots = [...(order.split(' ') as SlotName[]), 'A', 'B'] as const
  return slots.find((slot) => countOf(left[slot]) > 0)
}

/** U-Boot's `test` reads a leading zero as octal. */
function countOf(text: string): number {
  return Number.parseInt(text, /^-?0\d/.test(text) ? 8 : 10)
}

function spend(text: string): string {
  const count = countOf(text)
  return count >= 1 && count <= 9 ? String(count - 1) : '2'
}

function revive({ left, state }: State): void {
  for (const slot of ['A', 'B'] as const) {
    const other = slot === 'A' ? 'B' : 'A'
    if (state[slot] === 'confirmed' && state[other] !== 'confirmed') {
      left[slot] = '1'
      state[slot] = 'revived'
      return
    }
  }
  left.A = '1'
  left.B = '1'
}
