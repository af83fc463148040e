/** The server's own SSH keys, and the certificates that its authority signs. */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { accountPattern, certificatePrincipal } from '@atomixos/config'
import { FleetServerError } from './errors.ts'
import { type FleetPrograms, run } from './programs.ts'
import type { Device, Store } from './store.ts'

export interface ServerKeys {
  /** `ssh-ed25519 BASE64`. */
  readonly hostKey: string
  readonly userAuthority: string
}

export const keyPaths = (dir: string) => ({
  /** Devices know the tunnel's door by it. */
  hostKey: join(dir, 'tunnel', 'host_key'),
  /** Signs certificates of users: who has it can log in on every approved device with an open tunnel. */
  userAuthority: join(dir, 'user_ca'),
})

/** Made when they are not there. */
export async function openServerKeys(programs: FleetPrograms, dir: string): Promise<ServerKeys> {
  const paths = keyPaths(dir)
  await mkdir(join(dir, 'tunnel'), { recursive: true, mode: 0o700 })
  return {
    hostKey: await openKey(programs, paths.hostKey),
    userAuthority: await openKey(programs, paths.userAuthority),
  }
}

async function openKey(programs: FleetPrograms, path: string): Promise<string> {
  // The private key comes last: without it the pair is made again.
  if (!existsSync(path)) {
    await rm(`${path}.new`, { force: true })
    await rm(`${path}.new.pub`, { force: true })
    await run(programs, ['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', `${path}.new`])
    await rename(`${path}.new.pub`, `${path}.pub`)
    await rename(`${path}.new`, path)
  }
  return plainKey(await readFile(`${path}.pub`, 'utf8'))
}

/** Type and blob, without the comment. */
export function plainKey(line: string): string {
  return line.trim().split(' ').slice(0, 2).join(' ')
}

/** As OpenSSH shows it: `SHA256:...`. */
export function fingerprint(publicKey: string): string {
  const blob = Buffer.from(publicKey.split(' ')[1] ?? '', 'base64')
  return `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`
}

export interface UserCertificate extends AsyncDisposable {
  /** Private key; the certificate lies beside it, as ssh expects. */
  readonly keyPath: string
  readonly certificatePath: string
  readonly serial: number
  readonly untilMs: number
}

/** Devices' clocks may be a little behind. */
const earlyS = 60

/** A new key with a certificate for one account on one device, gone with its scope. Throws a FleetServerError. */
export async function issueCertificate(
  programs: FleetPrograms,
  options: {
    readonly dir: string
    readonly store: Store
    readonly device: Device
    readonly user: string
    readonly validS: number
    readonly nowMs: number
  },
): Promise<UserCertificate> {
  const { dir, store, device, user, validS, nowMs } = options
  if (!accountPattern.test(user)) throw new FleetServerError(`"${user}" is no name of an account`)
  if (device.state !== 'approved') throw new FleetServerError(`the device ${device.id} is ${device.state}`)
  const authority = keyPaths(dir).userAuthority
  if (!existsSync(authority)) {
    throw new FleetServerError(`${authority} is not there`, {
      hint: 'it is made by the first `./atomixos fleet serve` with this --dir',
    })
  }
  const principal = certificatePrincipal(user, device.id)
  const untilMs = nowMs + validS * 1000
  const serial = store.noteCertificate(device.id, principal, { nowMs, untilMs })
  const scratch = await mkdtemp(join(tmpdir(), 'atomixos-session-'))
  const keyPath = join(scratch, 'key')
  try {
    await run(programs, ['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', keyPath])
    await run(programs, [
      ...(['ssh-keygen', '-q', '-s', authority, '-I', `${principal} no. ${serial}`] as const),
      ...['-n', principal, '-z', String(serial), '-V', `-${earlyS}s:+${validS}s`],
      // A terminal and nothing else: no forwarding of ports, agents or displays, no rc file.
      ...['-O', 'clear', '-O', 'permit-pty', `${keyPath}.pub`],
    ])
  } catch (error) {
    await rm(scratch, { recursive: true, force: true })
    throw error
  }
  return {
    ...{ keyPath, certificatePath: `${keyPath}-cert.pub`, serial, untilMs },
    [Symbol.asyncDispose]: () => rm(scratch, { recursive: true, force: true }),
  }
}
