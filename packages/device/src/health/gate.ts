import type { CheckResult } from './checks.ts'

export interface GateOptions {
  readonly check: () => Promise<readonly CheckResult[]>
  /** Resolves after that many milliseconds. */
  readonly sleep: (ms: number) => Promise<void>
  /** Monotonic milliseconds. */
  readonly now: () => number
  /** Checks that failed before the update as well: they do not count. */
  readonly tolerated: ReadonlySet<string>
  readonly holdMs?: number
  readonly intervalMs?: number
  /** Told when something changes. */
  readonly log?: (line: string) => void
}

export type Verdict =
  | { readonly healthy: true; readonly warnings: readonly string[] }
  | {
      readonly healthy: false
      readonly check: string
      readonly reason: string
      /** All that fail, for the log. */
      readonly failing: readonly CheckResult[]
    }

export const holdMs = 60_000
export const intervalMs = 5_000

/**
 * Waits until every required check passes, each as long as it may take, then looks again every 5 s for 60 s. One
 * failure in that time is enough. Throws nothing of its own.
 */
export async function watchHealth(options: GateOptions): Promise<Verdict> {
  const { check, sleep, now, tolerated, log } = options
  const hold = options.holdMs ?? holdMs
  const interval = options.intervalMs ?? intervalMs
  const started = now()
  let goodSince: number | undefined
  let hopelessBefore = new Set<string>()
  for (;;) {
    const results = await check()
    const elapsed = now() - started
    const failing = results.filter((result) => !result.ok && counts(result, tolerated))
    if (failing.length === 0) {
      if (goodSince === undefined)
        log?.(`all checks pass after ${seconds(elapsed)}; watching for ${seconds(hold)}`)
      goodSince ??= now()
      if (now() - goodSince >= hold) return { healthy: true, warnings: warnings(results, tolerated) }
    } else if (goodSince !== undefined) {
      return failed(failing, `failed ${seconds(now() - goodSince)} after everything was well`)
    } else {
      // Twice, since a service that is being restarted is "failed" for a moment.
      const over = failing.filter(
        (result) =>
          elapsed >= result.settleMs || (result.hopeless === true && hopelessBefore.has(result.check)),
      )
      if (over.length > 0) return failed(over, `not well ${seconds(elapsed)} after the check began`)
      hopelessBefore = new Set(failing.filter(({ hopeless }) => hopeless).map((result) => result.check))
    }
    await sleep(interval)
  }
}

function counts(result: CheckResult, tolerated: ReadonlySet<string>): boolean {
  return result.weight === 'required' && !tolerated.has(result.check)
}

function warnings(results: readonly CheckResult[], tolerated: ReadonlySet<string>): string[] {
  return results
    .filter((result) => !result.ok)
    .map(
      ({ check, message }) =>
        `${check}: ${message}${tolerated.has(check) ? ' (it failed before the update as well)' : ''}`,
    )
}

function failed(failing: readonly CheckResult[], when: string): Verdict {
  const [first] = failing
  return { healthy: false, check: first!.check, reason: `${first!.message} (${when})`, failing }
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1000)} s`
}
