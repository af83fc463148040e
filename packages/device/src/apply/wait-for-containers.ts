import type { ActivationPolicy } from '@atomixos/config/operator/index.ts'
import type { ContainerState } from './activator.ts'
import { judgeContainers } from './judge-containers.ts'

export type ContainersOutcome =
  | { readonly up: true; readonly degraded: readonly string[] }
  | { readonly up: false; readonly reason: string }

const intervalMs = 1000

/** Looks every second until the policy is met or cannot be met any more. */
export async function waitForContainers(options: {
  readonly policy: ActivationPolicy
  readonly look: () => Promise<ContainerState[]>
  /** Told of every look. */
  readonly told: (states: readonly ContainerState[]) => void
  readonly sleep: (ms: number) => Promise<void>
  /** Monotonic milliseconds. */
  readonly now: () => number
}): Promise<ContainersOutcome> {
  const { policy, look, told, sleep, now } = options
  const startedMs = now()
  let upSinceMs: number | undefined
  let failedBefore: ReadonlySet<string> = new Set()
  for (;;) {
    // A manager that does not answer once may answer the next time; in the end its containers are not up.
    const states = await look().catch((error: Error) => error)
    const elapsedMs = now() - startedMs
    if (states instanceof Error) {
      if (elapsedMs >= policy.timeout_seconds * 1000) {
        return { up: false, reason: `how the containers are cannot be seen: ${states.message}` }
      }
    } else {
      told(states)
      const judged = judgeContainers({ policy, states, elapsedMs, upSinceMs, failedBefore })
      if (judged.verdict === 'good') return { up: true, degraded: judged.degraded }
      if (judged.verdict === 'failed') return { up: false, reason: judged.reason }
      if (judged.up) upSinceMs ??= elapsedMs
      failedBefore = new Set(states.filter(({ state }) => state === 'failed').map(({ name }) => name))
    }
    await sleep(intervalMs)
  }
}
