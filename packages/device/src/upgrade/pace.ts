import type { DownloadLimits } from './download-limits.ts'
import { RateWindow } from './rate-window.ts'
import { UpdateServerError } from './server-error.ts'

/**
 * Watches that bytes keep coming: aborts its signal when a server is silent, trickles or takes too long. Time is
 * monotonic: the clock of a board may jump by years while it downloads.
 */
export class Pace implements Disposable {
  readonly #abort = new AbortController()
  readonly #limits: DownloadLimits
  readonly #url: string
  readonly #startMs = performance.now()
  readonly #rate: RateWindow
  readonly #timer: NodeJS.Timeout
  #lastBytesMs = this.#startMs
  #writing = false

  constructor(url: string, limits: DownloadLimits) {
    this.#url = url
    this.#limits = limits
    this.#rate = new RateWindow({ windowMs: limits.rateWindowMs, startMs: this.#startMs })
    const shortestMs = Math.min(limits.idleMs, limits.rateWindowMs, limits.overallMs)
    this.#timer = setInterval(() => this.#check(), Math.min(1000, shortestMs / 4))
  }

  get signal(): AbortSignal {
    return this.#abort.signal
  }

  came(bytes: number): void {
    this.#lastBytesMs = performance.now()
    this.#rate.add(bytes, this.#lastBytesMs)
  }

  /** A slow disk is not the server's fault. */
  async write<T>(work: () => Promise<T>): Promise<T> {
    this.#writing = true
    try {
      return await work()
    } finally {
      this.#writing = false
      this.#lastBytesMs = performance.now()
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }

  #check(): void {
    const reason = this.#problem(performance.now())
    if (reason === undefined) return
    this.#abort.abort(new UpdateServerError('timeout', reason, { url: this.#url }))
    clearInterval(this.#timer)
  }

  #problem(nowMs: number): string | undefined {
    const { idleMs, bytesPerSMin, rateWindowMs, overallMs } = this.#limits
    if (nowMs - this.#startMs >= overallMs) {
      return `the download takes longer than ${overallMs / 3_600_000} h; the next one goes on with it`
    }
    if (this.#writing) return undefined
    if (nowMs - this.#lastBytesMs >= idleMs) return `the update server sent nothing for ${idleMs / 1000} s`
    const bytesPerS = this.#rate.bytesPerS(nowMs)
    if (bytesPerS !== undefined && bytesPerS < bytesPerSMin) {
      const rates = `${Math.round(bytesPerS)} bytes per second over ${rateWindowMs / 1000} s`
      return `the update server trickles: ${rates}, less than ${bytesPerSMin}`
    }
    return undefined
  }
}
