/** What systemd says about a unit, and what that means for somebody who waits for it. Pure. */
import type { UnitState } from './types.ts'

export interface UnitFacts {
  /** loaded, not-found, masked, bad-setting, error. */
  readonly load: string
  /** active, reloading, inactive, failed, activating, deactivating. */
  readonly active: string
  readonly sub: string
  readonly result: string
  readonly conditionMet: boolean
  /** A start or stop of this unit is queued or under way. */
  readonly hasJob: boolean
  /** Anything at all is queued or under way. */
  readonly managerBusy: boolean
}

export type Verdict =
  | { readonly kind: 'reached' }
  | { readonly kind: 'wait' }
  | { readonly kind: 'impossible'; readonly why: string; readonly certain: boolean }

/** The guest command whose output `parseUnitFacts` reads: one shell for both questions, as each start costs. */
export function unitFactsCommand(unit: string): string {
  const properties = 'LoadState,ActiveState,SubState,Result,ConditionResult,Job'
  return `systemctl show -p ${properties} -- ${shellQuote(unit)} && systemctl show -p NJobs`
}

/** Between two looks at a unit while the system starts, in seconds. Each look costs an emulated machine half of one. */
const startWaitS = 10

/** Ends when the start of the system has ended, and otherwise soon: one process that sleeps until it is told. */
export const startEndedCommand = `timeout ${startWaitS} systemctl is-system-running --wait`

/** By the exit code of `startEndedCommand`: any other than that of `timeout` says that there is no start to wait for. */
export function startStillGoesOn(exitCode: number): boolean {
  return exitCode === 124
}

export function parseUnitFacts(output: string): UnitFacts {
  const values = new Map(
    output.split('\n').flatMap((line) => {
      const at = line.indexOf('=')
      return at === -1 ? [] : [[line.slice(0, at), line.slice(at + 1)] as const]
    }),
  )
  const value = (name: string) => values.get(name) ?? ''
  return {
    load: value('LoadState'),
    active: value('ActiveState'),
    sub: value('SubState'),
    result: value('Result'),
    conditionMet: value('ConditionResult') !== 'no',
    hasJob: value('Job') !== '' && value('Job') !== '0',
    managerBusy: value('NJobs') !== '0',
  }
}

/**
 * `certain` verdicts end a wait at once; the others must be seen twice in a row, as between two jobs of one
 * transaction there may be none.
 */
export function judgeUnit(facts: UnitFacts, wanted: UnitState): Verdict {
  const reached = facts.active === wanted || (wanted === 'inactive' && facts.load === 'not-found')
  if (reached) return { kind: 'reached' }
  if (wanted !== 'active') return { kind: 'wait' }
  if (facts.load === 'masked') return { kind: 'impossible', why: 'it is masked', certain: true }
  if (['bad-setting', 'error'].includes(facts.load)) {
    return { kind: 'impossible', why: `it could not be loaded (${facts.load})`, certain: true }
  }
  if (facts.hasJob) return { kind: 'wait' }
  if (facts.active === 'failed') {
    return { kind: 'impossible', why: `it is "failed" (${facts.result})`, certain: false }
  }
  if (facts.active !== 'inactive' || facts.managerBusy) return { kind: 'wait' }
  if (facts.load === 'not-found') return { kind: 'impossible', why: 'there is no such unit', certain: false }
  const why = facts.conditionMet ? 'nothing is going to start it' : 'a condition of it was not met'
  return { kind: 'impossible', why: `it is "inactive" and ${why}`, certain: false }
}

export function shellQuote(word: string): string {
  return /^[\w./:@%+=-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}
