import { randomBytes } from 'node:crypto'
import { rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { deviceIdPattern, tokenPattern } from '@atomixos/config'
import { readOptional, writeDurably } from '../durable-file.ts'
import { lastLine, type ProgramResult } from '../run-program.ts'

/** What the device is towards one server: a key and a token of its own making, and what the server has said once. */
export interface Identity {
  readonly keyPath: string
  /** `ssh-ed25519 BASE64`. */
  readonly publicKey: string
  readonly token: string
  /** undefined: not registered yet. */
  readonly id: string | undefined
  /** The authority that came with the first approval. Another one is not taken. */
  readonly userAuthority: string | undefined
}

export interface IdentityDoors {
  readonly folder: string
  readonly makeKey: (path: string) => Promise<ProgramResult>
}

interface Enrolment {
  readonly server_url: string
  readonly token: string
  readonly id?: string | undefined
  readonly user_authority?: string | undefined
}

export const identityPaths = (folder: string) => ({
  key: join(folder, 'tunnel_key'),
  publicKey: join(folder, 'tunnel_key.pub'),
  enrolment: join(folder, 'enrolment.json'),
})

/**
 * Reads the identity, and makes it when there is none for this server, or none that can be read: key and token that one
 * server knows are not shown to another. Throws an Error.
 */
export async function openIdentity(doors: IdentityDoors, serverUrl: string): Promise<Identity> {
  const paths = identityPaths(doors.folder)
  const enrolment = parseEnrolment(await readOptional(paths.enrolment))
  const publicKey = parsePublicKey(await readOptional(paths.publicKey))
  if (enrolment?.server_url === serverUrl && publicKey !== undefined) {
    const { token, id, user_authority: userAuthority } = enrolment
    return { keyPath: paths.key, publicKey, token, id, userAuthority }
  }
  await rm(paths.enrolment, { force: true })
  const unfinished = join(doors.folder, 'new')
  for (const path of [unfinished, `${unfinished}.pub`]) await rm(path, { force: true })
  const made = await doors.makeKey(unfinished)
  const newKey = parsePublicKey(await readOptional(`${unfinished}.pub`))
  if (made.exitCode !== 0 || newKey === undefined) {
    throw new Error(`the key for the tunnel could not be made: ${lastLine(made)}`)
  }
  await rename(unfinished, paths.key)
  await rename(`${unfinished}.pub`, paths.publicKey)
  const identity: Identity = {
    ...{ keyPath: paths.key, publicKey: newKey, token: randomBytes(32).toString('base64url') },
    ...{ id: undefined, userAuthority: undefined },
  }
  // It comes last and is synced with its folder: whoever finds it finds the key too.
  await writeIdentity(doors.folder, serverUrl, identity)
  return identity
}

export async function writeIdentity(folder: string, serverUrl: string, identity: Identity): Promise<void> {
  const { token, id, userAuthority } = identity
  const enrolment: Enrolment = { server_url: serverUrl, token, id, user_authority: userAuthority }
  await writeDurably(identityPaths(folder).enrolment, `${JSON.stringify(enrolment)}\n`)
}

function parseEnrolment(text: string | undefined): Enrolment | undefined {
  let value: Record<string, unknown> | null
  try {
    value = JSON.parse(text ?? 'null')
  } catch {
    return undefined
  }
  const { server_url, token, id, user_authority } = value ?? {}
  if (typeof server_url !== 'string' || typeof token !== 'string' || !tokenPattern.test(token))
    return undefined
  if (id !== undefined && (typeof id !== 'string' || !deviceIdPattern.test(id))) return undefined
  if (user_authority !== undefined && typeof user_authority !== 'string') return undefined
  return { server_url, token, id, user_authority }
}

function parsePublicKey(text: string | undefined): string | undefined {
  return /^(ssh-ed25519 [A-Za-z0-9+/=]{60,80})( .*)?\n?$/.exec(text ?? '')?.[1]
}
