/** A session on a device, from the server's machine, through the tunnel that the device has opened. */
import { spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { FleetServerError } from './errors.ts'
import type { FleetPrograms } from './programs.ts'
import type { UserCertificate } from './ssh-keys.ts'
import type { Device, Store } from './store.ts'

/** A tunnel that nobody asks for again closes after so long. */
export const sessionMs = 180_000
const renewalMs = 60_000

/** Asks for the tunnel, again and again, until the scope ends. */
export function holdSession(store: Store, id: string): Disposable {
  store.openSession(id, Date.now() + sessionMs)
  const timer = setInterval(() => {
    try {
      store.openSession(id, Date.now() + sessionMs)
    } catch {
      // Revoked meanwhile: the tunnel is gone, and with it the session.
    }
  }, renewalMs)
  return { [Symbol.dispose]: () => clearInterval(timer) }
}

/** Until something listens on the device's port. Throws a FleetServerError. */
export async function waitForTunnel(
  store: Store,
  id: string,
  options: { readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<Device & { readonly port: number }> {
  const deadlineMs = Date.now() + options.timeoutMs
  for (;;) {
    const device = store.get(id)
    if (device?.state !== 'approved' || device.port === undefined) {
      throw new FleetServerError(`the device ${id} is not approved any more`)
    }
    if (await answers(device.port)) return { ...device, port: device.port }
    if (Date.now() > deadlineMs) {
      const seen = Math.round((Date.now() - device.seenMs) / 1000)
      throw new FleetServerError(
        `the device ${id} has opened no tunnel within ${options.timeoutMs / 1000} s; it was heard of ${seen} s ago`,
        { hint: 'is `./atomixos fleet serve` running, and can the device reach the port for tunnels?' },
      )
    }
    await sleep(300, undefined, { signal: options.signal })
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' })
    const end = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    socket.setTimeout(5000, () => end(false))
    socket.once('connect', () => end(true))
    socket.once('error', () => end(false))
  })
}

/** Arguments of `ssh` for a session; the device is known by the host key that it was approved with. */
export async function sessionArguments(
  device: Device & { readonly port: number },
  certificate: UserCertificate,
  options: { readonly user: string; readonly command: readonly string[] },
): Promise<string[]> {
  const knownHosts = join(dirname(certificate.keyPath), 'known_hosts')
  await writeFile(knownHosts, `${device.id} ${device.hostKey}\n`)
  const settings = {
    BatchMode: 'yes',
    CertificateFile: certificate.certificatePath,
    CheckHostIP: 'no',
    ConnectTimeout: '30',
    ControlPath: 'none',
    GlobalKnownHostsFile: '/dev/null',
    HostKeyAlias: device.id,
    IdentitiesOnly: 'yes',
    IdentityAgent: 'none',
    IdentityFile: certificate.keyPath,
    LogLevel: 'ERROR',
    ServerAliveInterval: '20',
    StrictHostKeyChecking: 'yes',
    UpdateHostKeys: 'no',
    UserKnownHostsFile: knownHosts,
  }
  return [
    ...['-F', 'none', '-a', '-x'],
    ...Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]),
    ...['-p', String(device.port), '-l', options.user, '--', '127.0.0.1'],
    ...options.command,
  ]
}

/** Exit code of ssh, which is that of the command on the device, or 255. */
export function runSession(programs: FleetPrograms, args: readonly string[]): Promise<number> {
  const [program, ...loader] = programs.argv('ssh')
  const env = { PATH: '/usr/bin', TERM: process.env.TERM ?? 'dumb', LC_ALL: 'C.UTF-8' }
  return new Promise((resolve, reject) => {
    const child = spawn(program!, [...loader, ...args], { stdio: 'inherit', env })
    child.once('error', reject)
    child.once('close', (code) => resolve(code ?? 255))
  })
}
