/** What is found on a disk after a cut, and what that means. Pure. */
import { bootVariables, type SlotName } from '@atomixos/config'
import type { FoundConfiguration } from './look-at-configuration.ts'
import { type Selection, simulateSelector } from './selector.ts'

/** Of a slot's two images. */
export interface SlotContent {
  /** Sectors that are not those of the release that belongs here. */
  readonly wrongSectors: { readonly boot: number; readonly rootfs: number }
  readonly version: string
}

export interface Observation {
  readonly environment: {
    /** Whether each copy has its checksum. */
    readonly wholeCopies: readonly boolean[]
    readonly variables: ReadonlyMap<string, string> | undefined
    /** What the environment may be at this place in the recording: before the change that was cut, or after it. */
    readonly allowed: readonly (ReadonlyMap<string, string> | undefined)[]
  }
  readonly slots: Readonly<Record<SlotName, SlotContent>>
  readonly table: {
    /** The copy that U-Boot and Linux use. */
    readonly copy: 'primary' | 'backup' | 'none'
    /**
     * `flashed`: slot A, the next start is a first one. `complete`: all. `reset`: all but /data, which the next start makes.
     * `wrong`: anything else.
     */
    readonly partitions: 'flashed' | 'complete' | 'reset' | 'wrong'
  }
  /** undefined: the table has no /data yet. */
  readonly data: { readonly consistent: boolean; readonly detail: string } | undefined
  /** undefined: nothing is known of it at this place in the recording, or /data cannot be read. */
  readonly configuration:
    | (FoundConfiguration & {
        /** Names of what the next start may take. */
        readonly mayBe: readonly string[]
      })
    | undefined
}

/**
 * `whole`: the next start is one of a whole system, and nothing is half. `torn`: something is half, though a whole
 * system comes up in the end. `brick`: none ever does.
 */
export type Outcome = 'whole' | 'torn' | 'brick'

export interface Verdict {
  readonly outcome: Outcome
  /** The slot that the next start tries first. */
  readonly first: SlotName
  readonly comesUp: SlotName | undefined
  readonly version: string | undefined
  readonly problems: readonly string[]
}

export function judge(observed: Observation): Verdict {
  const { environment, slots, table, data, configuration } = observed
  const { variables } = environment
  const problems: string[] = []
  if (!environment.allowed.some((allowed) => sameVariables(allowed, variables))) {
    const now = variables === undefined ? 'no copy of it is whole' : `it says ${describe(variables)}`
    problems.push(
      `the environment is neither what it was before the write nor what it became: ${now}, and should say ${environment.allowed.map(describe).join(' or ')}`,
    )
  }
  if (table.copy === 'none') problems.push('neither partition table is valid')
  else if (table.partitions === 'wrong') {
    problems.push(`the ${table.copy} partition table is neither the flashed nor the complete one`)
  } else if (table.partitions === 'reset' && configuration === undefined) {
    problems.push('/data is not in the partition table, and nobody has asked for a reset')
  }
  if (data !== undefined && !data.consistent) problems.push(`/data is not consistent: ${data.detail}`)
  if (configuration !== undefined && !configuration.mayBe.includes(configuration.name ?? '')) {
    problems.push(
      `the next start would take this configuration: ${configuration.detail}; it should take ${configuration.mayBe.join(' or ')}`,
    )
  }
  const selection = simulateSelector(variables, (slot) => isWhole(slots[slot]))
  problems.push(...slotProblems(observed, selection))
  const comesUp = table.copy === 'none' || table.partitions === 'wrong' ? undefined : selection.started
  if (comesUp === undefined) problems.push('no whole system ever comes up')
  return {
    outcome: comesUp === undefined ? 'brick' : problems.length > 0 ? 'torn' : 'whole',
    first: selection.tries[0]!.slot,
    comesUp,
    version: comesUp && slots[comesUp].version,
    problems,
  }
}

function slotProblems({ environment, slots }: Observation, selection: Selection): string[] {
  const { variables } = environment
  const problems: string[] = []
  const first = selection.tries[0]!.slot
  if (!isWhole(slots[first]))
    problems.push(`slot ${first} is tried next and is not whole: ${wrong(slots[first])}`)
  for (const slot of ['A', 'B'] as const) {
    if (slot === first || isWhole(slots[slot])) continue
    const state = variables?.get(bootVariables.state[slot])
    const inOrder = (variables?.get(bootVariables.order) ?? '').split(' ').includes(slot)
    // A slot that was ever good, or that waits for its turn with tries.
    if (
      state === 'confirmed' ||
      state === 'previous' ||
      state === 'revived' ||
      (state === 'pending' && inOrder)
    ) {
      problems.push(`slot ${slot} is "${state}" and is not whole: ${wrong(slots[slot])}`)
    }
  }
  const confirmed = (['A', 'B'] as const).filter(
    (slot) => variables?.get(bootVariables.state[slot]) === 'confirmed',
  )
  if (confirmed.length > 1) problems.push('both slots are confirmed')
  return problems
}

export function isWhole({ wrongSectors }: SlotContent): boolean {
  return wrongSectors.boot === 0 && wrongSectors.rootfs === 0
}

function wrong({ wrongSectors, version }: SlotContent): string {
  return `${wrongSectors.boot} sectors of the boot files and ${wrongSectors.rootfs} of the root are not those of ${version}`
}

export function sameVariables(
  one: ReadonlyMap<string, string> | undefined,
  other: ReadonlyMap<string, string> | undefined,
): boolean {
  if (one === undefined || other === undefined) return one === other
  return one.size === other.size && [...one].every(([name, value]) => other.get(name) === value)
}

/** The variables that choose the slot, in one line. */
export function describe(variables: ReadonlyMap<string, string> | undefined): string {
  if (variables === undefined) return 'nothing (blank)'
  const { order, triesLeft, state } = bootVariables
  const slot = (name: SlotName) =>
    `${name}: ${variables.get(state[name]) || 'no state'}, ${variables.get(triesLeft[name]) ?? '?'} left`
  return `order ${variables.get(order) ?? '?'}; ${slot('A')}; ${slot('B')}`
}
