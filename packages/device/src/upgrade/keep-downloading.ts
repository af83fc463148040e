import { setTimeout as sleep } from 'node:timers/promises'
import { type DownloadOptions, download } from './download.ts'
import { downloadLimits } from './download-limits.ts'
import { readDownloadState } from './download-state.ts'
import { UpdateServerError } from './server-error.ts'

export interface KeepDownloadingOptions extends DownloadOptions {
  readonly say: (line: string) => void
  /** For tests. */
  readonly random?: () => number
  readonly pauseMs?: { readonly first: number; readonly most: number }
}

/** So often in a row nothing more has come: the next round goes on. */
const vainAttemptsMax = 4
const defaultPauseMs = { first: 5000, most: 600_000 }
const passing: ReadonlySet<string> = new Set(['network', 'timeout', 'tls'])

/**
 * A download that goes on after each cut, as long as every few attempts bring something and there is a part to go on with.
 * Pauses grow while nothing comes, and are as different as devices are: a server that comes back meets no crowd. Fails as
 * `download` does.
 */
export async function keepDownloading(options: KeepDownloadingOptions): Promise<void> {
  const { random = Math.random, pauseMs = defaultPauseMs } = options
  const deadlineMs = performance.now() + (options.limits?.overallMs ?? downloadLimits.overallMs)
  let best = 0
  let vain = 0
  for (;;) {
    try {
      return await download({
        ...options,
        limits: { ...options.limits, overallMs: Math.max(1, deadlineMs - performance.now()) },
      })
    } catch (error) {
      if (!(error instanceof UpdateServerError) || !passing.has(error.kind)) throw error
      const kept = await readDownloadState(`${options.path}.part.json`, options)
      if (kept === undefined) throw error
      vain = kept.syncedBytes > best ? 0 : vain + 1
      best = Math.max(best, kept.syncedBytes)
      const waitMs = pauseLengthMs({ vain, random: random(), ...pauseMs })
      if (vain > vainAttemptsMax || performance.now() + waitMs >= deadlineMs) throw error
      const percent = Math.floor((kept.syncedBytes * 100) / kept.totalBytes)
      options.say(`<5>${error.message}; it goes on at ${percent} % in ${Math.ceil(waitMs / 1000)} s`)
      await sleep(waitMs, undefined, { signal: options.signal }).catch(() => {
        throw error
      })
    }
  }
}

/** Between half and all of a length that doubles with each attempt in vain. Pure. */
export function pauseLengthMs(options: {
  readonly vain: number
  /** From 0 up to, but not, 1. */
  readonly random: number
  readonly first: number
  readonly most: number
}): number {
  const { vain, random, first, most } = options
  return Math.min(first * 2 ** vain, most) * (0.5 + random / 2)
}
