import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { nonceSeconds } from '@atomixos/config/api/index.ts'

/** - `full`: more have been used than are kept in mind; time makes room */
export type NonceVerdict = 'good' | 'unknown' | 'expired' | 'used' | 'full'

export interface Nonces {
  issue(): string
  check(nonce: string): NonceVerdict
  /** From now on it is used, also for a worker that starts later. Only a `good` one becomes used. */
  use(nonce: string): NonceVerdict
}

/** Each took the signature of an administrator: more than anybody needs. */
const usedMax = 1024
const randomLength = 16
const expiryLength = 8
const macLength = 16
const nonceLength = randomLength + expiryLength + macLength

/**
 * Nonces that nobody has to remember until they are used: a random part and the time until when, under a key of this
 * start. Whoever asks for millions costs nothing, and cannot push out those of others. Key and used ones are in `folder`,
 * in memory, where they outlive the process. Times are those since the start: setting the clock changes nothing.
 */
export function openNonces(folder: string, sinceStartMs: () => number = monotonicMs): Nonces {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const key = keyOf(join(folder, 'nonce-key'))
  const usedPath = join(folder, 'nonces-used')
  const used = readUsed(usedPath)

  const macOf = (payload: Buffer) => createHmac('sha256', key).update(payload).digest().subarray(0, macLength)
  const expiryOf = (nonce: string): number | undefined => {
    const bytes = Buffer.from(nonce, 'base64url')
    if (bytes.length !== nonceLength || bytes.toString('base64url') !== nonce) return undefined
    const payload = bytes.subarray(0, randomLength + expiryLength)
    if (!timingSafeEqual(bytes.subarray(payload.length), macOf(payload))) return undefined
    return Number(payload.readBigUInt64BE(randomLength))
  }
  const check = (nonce: string): NonceVerdict => {
    const expiry = expiryOf(nonce)
    if (expiry === undefined) return 'unknown'
    if (sinceStartMs() >= expiry) return 'expired'
    return used.has(nonce) ? 'used' : 'good'
  }
  return {
    check,
    issue() {
      const payload = Buffer.concat([randomBytes(randomLength), Buffer.alloc(expiryLength)])
      payload.writeBigUInt64BE(BigInt(Math.floor(sinceStartMs()) + nonceSeconds * 1000), randomLength)
      return Buffer.concat([payload, macOf(payload)]).toString('base64url')
    },
    // Without a pause between look and note: of two requests at a time with the same nonce one is the second.
    use(nonce) {
      const verdict = check(nonce)
      if (verdict !== 'good') return verdict
      const now = sinceStartMs()
      for (const [other, expiry] of used) if (now >= expiry) used.delete(other)
      if (used.size >= usedMax) return 'full'
      used.set(nonce, expiryOf(nonce)!)
      writeWhole(usedPath, JSON.stringify([...used]))
      return 'good'
    },
  }
}

/** Milliseconds since the machine has started, the same for every process. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint() / 1_000_000n)
}

function keyOf(path: string): Buffer {
  try {
    const key = readFileSync(path)
    if (key.length === 32) return key
  } catch {
    // The first since the start.
  }
  const key = randomBytes(32)
  writeWhole(path, key)
  return key
}

function readUsed(path: string): Map<string, number> {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new Map()
    throw error
  }
  return new Map(JSON.parse(text) as [string, number][])
}

/** In memory: whole or not at all is enough. */
export function writeWhole(path: string, content: string | Uint8Array): void {
  writeFileSync(`${path}.new`, content, { mode: 0o600 })
  renameSync(`${path}.new`, path)
}
