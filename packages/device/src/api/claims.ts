import { createHash, timingSafeEqual } from 'node:crypto'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { monotonicMs, writeWhole } from './nonces.ts'

/** - `later`: too many were wrong */
export type ClaimVerdict = 'right' | 'wrong' | 'later' | 'unknown'

export interface Claims {
  needed(): 'none' | 'needed' | 'unknown'
  /** Whether somebody with this code may be the first. */
  check(given: string | undefined): ClaimVerdict
}

/** Wrong ones in a row; then one more every half minute. */
const attemptsMax = 5
export const attemptEveryMs = 30_000

/**
 * The code that the first configuration over the network needs. `codePath` is put there at the start: empty, there is
 * none; not there, nobody knows, and nobody may. Attempts are counted in `folder`, for all who try together: on a network
 * anybody can be many.
 */
export function openClaims(
  { codePath, folder }: { readonly codePath: string; readonly folder: string },
  sinceStartMs: () => number = monotonicMs,
): Claims {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const attemptsPath = join(folder, 'claim-attempts')
  const readCode = (): string | undefined => {
    try {
      return readFileSync(codePath, 'utf8').trim()
    } catch {
      return undefined
    }
  }
  const readAttempts = (): { left: number; atMs: number } => {
    try {
      return JSON.parse(readFileSync(attemptsPath, 'utf8'))
    } catch {
      return { left: attemptsMax, atMs: sinceStartMs() }
    }
  }
  return {
    needed() {
      const code = readCode()
      return code === undefined ? 'unknown' : code === '' ? 'none' : 'needed'
    },
    // Without a pause: attempts at the same time are counted one by one.
    check(given) {
      const code = readCode()
      if (code === undefined) return 'unknown'
      if (code === '') return 'right'
      if (given === undefined || given === '') return 'wrong'
      const now = sinceStartMs()
      const before = readAttempts()
      const earned = Math.max(0, Math.floor((now - before.atMs) / attemptEveryMs))
      const left = Math.min(attemptsMax, before.left + earned)
      const atMs = left === attemptsMax ? now : before.atMs + earned * attemptEveryMs
      if (left <= 0) return 'later'
      if (timingSafeEqual(digest(given.trim()), digest(code))) return 'right'
      writeWhole(attemptsPath, JSON.stringify({ left: left - 1, atMs }))
      return 'wrong'
    },
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
