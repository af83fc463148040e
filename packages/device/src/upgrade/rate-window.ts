const buckets = 10

/** The average rate over the last `windowMs`: servers that trickle are told from slow links. Pure; times are given. */
export class RateWindow {
  readonly #windowMs: number
  readonly #startMs: number
  /** Bytes by number of the tenth of a window in which they came. */
  readonly #bytes = new Map<number, number>()

  constructor(options: { windowMs: number; startMs: number }) {
    this.#windowMs = options.windowMs
    this.#startMs = options.startMs
  }

  add(bytes: number, nowMs: number): void {
    const bucket = this.#bucketAt(nowMs)
    this.#bytes.set(bucket, (this.#bytes.get(bucket) ?? 0) + bytes)
    for (const old of this.#bytes.keys()) if (old <= bucket - buckets) this.#bytes.delete(old)
  }

  /** undefined until a whole window has passed. */
  bytesPerS(nowMs: number): number | undefined {
    if (nowMs - this.#startMs < this.#windowMs) return undefined
    const first = this.#bucketAt(nowMs) - buckets
    let sum = 0
    for (const [bucket, bytes] of this.#bytes) if (bucket > first) sum += bytes
    return sum / (this.#windowMs / 1000)
  }

  #bucketAt(nowMs: number): number {
    return Math.floor(((nowMs - this.#startMs) * buckets) / this.#windowMs)
  }
}
