export interface SettledOptions<T> {
  readonly look: () => Promise<T>
  /** Is a configuration being applied at this moment? */
  readonly changing: () => Promise<boolean>
  readonly sleep: (ms: number) => Promise<void>
  /** Monotonic milliseconds. */
  readonly now: () => number
}

/** Longer than that nobody waits: a configuration may be left to be confirmed, with everything up. */
const patienceMs = 10 * 60_000

/**
 * Looks when no configuration is being applied, since that stops containers and moves addresses: what is seen meanwhile
 * says nothing of the system. A look into which a change came is taken again.
 */
export async function lookWhenSettled<T>({ look, changing, sleep, now }: SettledOptions<T>): Promise<T> {
  const startedMs = now()
  const impatient = () => now() - startedMs >= patienceMs
  for (;;) {
    while (!impatient() && (await changing())) await sleep(1000)
    const seen = await look()
    if (impatient() || !(await changing())) return seen
  }
}
