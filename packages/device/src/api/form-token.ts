import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { writeWhole } from './nonces.ts'

const cookieName = 'atomixos-form'

/** What ties the boot UI's form to the browser that has loaded it. */
export interface FormTokens {
  /** A cookie for the answer, when the browser has none yet, and the token that goes with it into the form. */
  issue(cookies: string | undefined): { readonly setCookie: string | undefined; readonly token: string }
  accepts(cookies: string | undefined, token: string): boolean
}

/** The key outlives the process: somebody may take an hour to fill in the form. In memory; gone at the next start. */
export function formKeyIn(folder: string): Buffer {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const path = join(folder, 'form-key')
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

export function createFormTokens(key: Buffer): FormTokens {
  const tokenOf = (id: string) => createHmac('sha256', key).update(id).digest('hex')
  return {
    issue(cookies) {
      const known = idOf(cookies)
      const id = known ?? randomBytes(16).toString('hex')
      return {
        setCookie: known === undefined ? `${cookieName}=${id}; Path=/; HttpOnly; SameSite=Strict` : undefined,
        token: tokenOf(id),
      }
    },
    accepts(cookies, token) {
      const id = idOf(cookies)
      if (id === undefined) return false
      const expected = Buffer.from(tokenOf(id))
      const given = Buffer.from(token)
      return given.length === expected.length && timingSafeEqual(given, expected)
    },
  }
}

function idOf(cookies: string | undefined): string | undefined {
  for (const pair of (cookies ?? '').split(';')) {
    const [name, value = ''] = pair.trim().split('=', 2)
    if (name === cookieName && /^[0-9a-f]{32}$/.test(value)) return value
  }
  return undefined
}
