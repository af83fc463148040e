import type { ActivationPolicy } from '@atomixos/config/operator/index.ts'
import type { ContainerState } from './activator.ts'

export interface ContainerLook {
  readonly policy: Pick<
    ActivationPolicy,
    'required' | 'timeout_seconds' | 'settle_seconds' | 'allow_degraded'
  >
  readonly states: readonly ContainerState[]
  /** Since they were started. */
  readonly elapsedMs: number
  /** Since when all that have to be up are up, as `elapsedMs` was then. */
  readonly upSinceMs: number | undefined
  /** Those that had failed at the look before: a service that is started anew is "failed" for a moment. */
  readonly failedBefore: ReadonlySet<string>
}

export type ContainerVerdict =
  /** Look again. `up`: all that have to be are. */
  | { readonly verdict: 'wait'; readonly up: boolean }
  /** `degraded`: names of those that are not up, and need not be. */
  | { readonly verdict: 'good'; readonly degraded: readonly string[] }
  | { readonly verdict: 'failed'; readonly reason: string }

/** The activation policy, applied to how containers are at one moment. Pure. */
export function judgeContainers(look: ContainerLook): ContainerVerdict {
  const { policy, states, elapsedMs, upSinceMs, failedBefore } = look
  const { required, allow_degraded } = policy
  const byName = new Map(states.map((state) => [state.name, state]))
  const stateOf = (name: string): ContainerState => byName.get(name) ?? { name, state: 'waiting' }
  const mayNotFail = [
    ...required,
    ...(allow_degraded === undefined
      ? []
      : states.map(({ name }) => name).filter((name) => !allow_degraded.includes(name))),
  ]
  const over = mayNotFail.find((name) => stateOf(name).state === 'failed' && failedBefore.has(name))
  if (over !== undefined) return { verdict: 'failed', reason: `${described(stateOf(over))}` }

  const missing = [...new Set(required)].filter((name) => stateOf(name).state !== 'active')
  const timeIsUp = elapsedMs >= policy.timeout_seconds * 1000
  if (missing.length > 0) {
    if (upSinceMs !== undefined) {
      const after = Math.round((elapsedMs - upSinceMs) / 1000)
      return { verdict: 'failed', reason: `${described(stateOf(missing[0]!))}, ${after} s after all were up` }
    }
    if (!timeIsUp) return { verdict: 'wait', up: false }
    const list = missing.map((name) => described(stateOf(name))).join('; ')
    return { verdict: 'failed', reason: `not up within ${policy.timeout_seconds} s: ${list}` }
  }
  // With a list of those that may fail, the others are waited for: whether they fail is not known before.
  const open = new Set(mayNotFail).values().some((name) => stateOf(name).state !== 'active')
  if (open && !timeIsUp) return { verdict: 'wait', up: upSinceMs !== undefined }
  const settledMs = upSinceMs === undefined ? 0 : elapsedMs - upSinceMs
  if (settledMs < policy.settle_seconds * 1000) return { verdict: 'wait', up: true }
  const degraded = states.filter(({ state }) => state !== 'active').map(({ name }) => name)
  return { verdict: 'good', degraded }
}

/** `container "web" failed (exit code 1)` */
export function described({ name, state, message }: ContainerState): string {
  const what = state === 'failed' ? 'failed' : `is ${state === 'active' ? 'up' : state}`
  return `container "${name}" ${what}${message ? ` (${message})` : ''}`
}
