/**
 * Where devices open their tunnels: a real sshd, one for each connection, as an ordinary user in a sandbox. It knows one
 * account without a shell and the keys of the devices whose tunnel is wanted now, each with its one port on the loopback
 * address. It runs nothing and forwards nothing else.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { lstatSync, readlinkSync } from 'node:fs'
import { rename, writeFile } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { FleetServerError } from './errors.ts'
import type { FleetPrograms } from './programs.ts'
import { fingerprint } from './ssh-keys.ts'
import type { Device } from './store.ts'

export const tunnelAccount = 'tunnel'

/** Of one account that the sandbox maps to whoever runs the server. */
const accountId = 1000
const connectionsMax = 500
/** Connections from one address that have not shown a key yet: nobody takes all the places. */
const strangersMax = 20
const checkIntervalMs = 1000

const sshdConfig = `HostKey /tunnel/host_key
AuthorizedKeysFile /tunnel/authorized_keys
AllowUsers ${tunnelAccount}
AuthenticationMethods publickey
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
DisableForwarding no
AllowTcpForwarding remote
AllowStreamLocalForwarding no
AllowAgentForwarding no
GatewayPorts no
X11Forwarding no
PermitTunnel no
PermitTTY no
PermitUserRC no
MaxSessions 0
MaxAuthTries 2
LoginGraceTime 20
ClientAliveInterval 20
ClientAliveCountMax 3
TCPKeepAlive no
PidFile none
LogLevel INFO
`

const passwd = `root:x:0:0:root:/:/usr/bin/false
${tunnelAccount}:x:${accountId}:${accountId}::/:/usr/bin/false
`

/** One line for each device: its key opens its own port and nothing else. */
export function renderAuthorizedKeys(devices: readonly Device[]): string {
  return devices
    .map(
      ({ id, port, publicKey }) =>
        `restrict,port-forwarding,permitlisten="127.0.0.1:${port}",command="/usr/bin/false" ${publicKey} ${id}\n`,
    )
    .join('')
}

interface Connection {
  readonly remoteAddress: string | undefined
  /** Of the key that was accepted. */
  readonly fingerprint?: string
  readonly device?: string | undefined
}

export interface TunnelDoor extends AsyncDisposable {
  readonly server: Server
}

export async function openTunnelDoor(options: {
  readonly programs: FleetPrograms
  readonly dir: string
  /** Devices whose tunnels are wanted at this moment. */
  readonly wanted: () => readonly Device[]
  readonly log: (line: string) => void
}): Promise<TunnelDoor> {
  const { programs, wanted, log } = options
  const folder = join(options.dir, 'tunnel')
  const { rootDir } = programs
  if (rootDir === undefined) throw new FleetServerError('sshd comes from a tree of locked packages only')
  await writeFile(join(folder, 'sshd_config'), sshdConfig)
  await writeFile(join(folder, 'passwd'), passwd)
  await replace(join(folder, 'authorized_keys'), renderAuthorizedKeys(wanted()))
  const [program, ...argv] = [...programs.argv('bwrap'), ...sandbox(rootDir, folder)]
  const connections = new Map<ChildProcess, Connection>()

  let last: string | undefined
  let writing = Promise.resolve()
  const writeKeys = () => {
    writing = writing.then(async () => {
      const text = renderAuthorizedKeys(wanted())
      if (text === last) return
      await replace(join(folder, 'authorized_keys'), text)
      last = text
    })
    return writing
  }

  const serve = (socket: Socket) => {
    const { remoteAddress } = socket
    const child = spawn(program!, argv, { stdio: [socket, socket, 'pipe'], env: {} })
    connections.set(child, { remoteAddress })
    // The child has the connection.
    socket.destroy()
    child.once('error', (error) => log(`sshd could not be started: ${error.message}`))
    child.once('close', () => {
      const { device } = connections.get(child) ?? {}
      connections.delete(child)
      if (device !== undefined) log(`tunnel of ${device} is closed`)
    })
    createInterface({ input: child.stderr! }).on('line', (line) => {
      const key = / ssh2: ED25519 (SHA256:[A-Za-z0-9+/]{43})$/.exec(line)?.[1]
      if (!line.startsWith('Accepted publickey for ') || key === undefined) return
      const device = wanted().find(({ publicKey }) => fingerprint(publicKey) === key)?.id
      connections.set(child, { remoteAddress, fingerprint: key, device })
      log(`tunnel of ${device ?? 'a device that is not wanted any more'} is open`)
    })
  }

  const server = createServer({ pauseOnConnect: true }, (socket) => {
    socket.on('error', () => {})
    const strangers = [...connections.values()].filter(
      ({ remoteAddress, fingerprint: key }) => key === undefined && remoteAddress === socket.remoteAddress,
    )
    if (connections.size >= connectionsMax || strangers.length >= strangersMax) return socket.destroy()
    writeKeys().then(
      () => serve(socket),
      (error: Error) => {
        log(`a tunnel could not be opened: ${error.message}`)
        socket.destroy()
      },
    )
  })

  /** What was revoked, or is not wanted any more, ends within a second. */
  const check = () => {
    const open = [...connections].filter(([, { fingerprint: key }]) => key !== undefined)
    if (open.length === 0) return
    const allowed = new Set(wanted().map(({ publicKey }) => fingerprint(publicKey)))
    for (const [child, { fingerprint: key }] of open) if (!allowed.has(key!)) child.kill('SIGKILL')
  }
  const timer = setInterval(() => {
    try {
      check()
    } catch (error) {
      log(`tunnels could not be looked at: ${(error as Error).message}`)
    }
  }, checkIntervalMs)

  return {
    server,
    async [Symbol.asyncDispose]() {
      clearInterval(timer)
      const closed = server.listening
        ? new Promise((resolve) => server.close(resolve))
        : Promise.resolve(undefined)
      const gone = [...connections.keys()].map(
        (child) =>
          new Promise((resolve) => {
            child.once('close', resolve)
            child.kill('SIGKILL')
          }),
      )
      await Promise.all([closed, ...gone])
    },
  }
}

/** bwrap's arguments: the tree, the door's folder, read-only both, and the network of the server. */
function sandbox(rootDir: string, folder: string): string[] {
  const links = ['bin', 'sbin', 'lib', 'lib64'].flatMap((name) => {
    const path = join(rootDir, name)
    const stats = lstatSync(path, { throwIfNoEntry: false })
    return stats?.isSymbolicLink() ? ['--symlink', readlinkSync(path), `/${name}`] : []
  })
  return [
    ...['--unshare-user', '--uid', String(accountId), '--gid', String(accountId)],
    ...['--unshare-pid', '--unshare-ipc', '--unshare-uts', '--die-with-parent', '--new-session'],
    ...['--cap-drop', 'ALL', '--ro-bind', join(rootDir, 'usr'), '/usr', ...links],
    ...['--proc', '/proc', '--dev', '/dev', '--dir', '/run/sshd', '--dir', '/etc'],
    ...['--ro-bind', join(folder, 'passwd'), '/etc/passwd', '--ro-bind', folder, '/tunnel'],
    ...['--remount-ro', '/', '--clearenv', '--chdir', '/', '--'],
    ...['/usr/sbin/sshd', '-i', '-e', '-f', '/tunnel/sshd_config'],
  ]
}

async function replace(path: string, text: string): Promise<void> {
  await writeFile(`${path}.new`, text, { mode: 0o600 })
  await rename(`${path}.new`, path)
}
