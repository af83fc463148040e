import { setTimeout as sleep } from 'node:timers/promises'

/** Holds a stream to an average rate, by its own start. Time is monotonic. */
export class RateLimit {
  readonly #bytesPerS: number
  readonly #startMs = performance.now()
  #bytes = 0

  constructor(bytesPerS: number) {
    this.#bytesPerS = bytesPerS
  }

  /** Ends when so many more bytes may have come. While nobody reads, the other side stops sending. */
  async came(bytes: number, signal: AbortSignal): Promise<void> {
    this.#bytes += bytes
    const dueMs = this.#startMs + (this.#bytes / this.#bytesPerS) * 1000
    const waitMs = dueMs - performance.now()
    // The pause's end is not exact; what is missing is made up for by the next one.
    if (waitMs > 0) await sleep(waitMs, undefined, { signal })
  }
}
