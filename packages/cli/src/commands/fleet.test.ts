/**
 * The real command on a folder of its own, with real programs on this machine's loopback address: HTTPS, the sshd of the
 * tunnels, the `ssh` that a device runs, and an sshd with the device's own settings at the tunnel's other end.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  certificatePrincipal,
  fleetRuntimePaths,
  parseHeartbeatAnswer,
  parseRegisterAnswer,
  renderHeartbeat,
  renderKnownHosts,
  renderRegistration,
  type TunnelRequest,
  tunnelArguments,
} from '@atomixos/config'
import { fingerprint, issueCertificate, Store, sessionArguments } from '@atomixos/fleet'
import { ask, start } from '@atomixos/fleet/test-tools.ts'
import { openTestInputs } from '@atomixos/image/tools/test-inputs.ts'
import { type Programs, treePrograms } from '@atomixos/machine'
import { ssh as sshModule } from '@atomixos/system/modules/ssh.ts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const main = join(import.meta.dirname, '../main.ts')
const mac = '02005e100001'

let dir: string
let programs: Programs
/** The device's part: its key for the tunnel, its host key, its sshd. */
let deviceDir: string
let sshd: Server
/** What must not outlive a test that failed. */
const children = new Set<ChildProcess>()
let port: number

beforeAll(async () => {
  programs = treePrograms((await (await openTestInputs()).toolTree('tools-fleet')).dir)
  dir = await mkdtemp(join(tmpdir(), 'atomixos-fleet-command-'))
  deviceDir = join(dir, 'device')
  await mkdir(join(deviceDir, 'run'), { recursive: true })
  for (const name of ['tunnel_key', 'host_key']) {
    await exec('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', join(deviceDir, name))
  }
  sshd = await deviceSshd()
  port = 20_000 + Math.floor(Math.random() * 8000) * 2
})
afterAll(async () => {
  sshd?.close()
  for (const child of children) child.kill('SIGKILL')
  await rm(dir, { recursive: true, force: true })
})

async function exec(program: string, ...args: string[]): Promise<string> {
  await using run = start([...programs.argv(program), ...args])
  const exitCode = await run.exited
  if (exitCode !== 0) throw new Error(`${program}: ${run.said()}`)
  return run.said()
}

/**
 * sshd with the device's settings, as this machine's user in a sandbox, one for each connection: alice is an
 * administrator, bob is not. Who is no root can't have PAM, nor be asked for principals by a program: a file says what
 * that program would.
 */
async function deviceSshd(): Promise<Server> {
  const given = (sshModule.files!['/etc/ssh/sshd_config'] as { body: string }).body
  const settings = given
    .replace(/^HostKey .*$/m, 'HostKey /device/host_key')
    .replace(/^UsePAM yes$/m, 'UsePAM no')
    .replace(/^StrictModes yes$/m, 'StrictModes no')
    .replace(/AuthorizedPrincipalsCommand .*/, 'AuthorizedPrincipalsFile /run/atomixos-fleet/principals-%u')
    .replace(/^\s*AuthorizedPrincipalsCommandUser .*$/m, '')
  await writeFile(join(deviceDir, 'sshd_config'), settings)
  await writeFile(
    join(deviceDir, 'passwd'),
    'root:x:0:0::/:/bin/sh\nalice:x:1000:1000::/:/bin/sh\nbob:x:1000:1000::/:/bin/sh\n',
  )
  await writeFile(join(deviceDir, 'group'), 'sudo:x:27:alice\n')
  const tree = programs.rootDir!
  const [bwrap, ...argv] = [
    ...programs.argv('bwrap'),
    ...['--unshare-user', '--uid', '1000', '--gid', '1000', '--unshare-pid', '--die-with-parent'],
    ...['--ro-bind', join(tree, 'usr'), '/usr'],
    ...['bin', 'sbin', 'lib', 'lib64'].flatMap((name) => ['--symlink', `usr/${name}`, `/${name}`]),
    ...['--proc', '/proc', '--dev', '/dev', '--dir', '/run/sshd'],
    ...['--ro-bind', join(deviceDir, 'run'), '/run/atomixos-fleet', '--ro-bind', deviceDir, '/device'],
    ...['--ro-bind', join(deviceDir, 'passwd'), '/etc/passwd'],
    ...['--ro-bind', join(deviceDir, 'group'), '/etc/group'],
    ...['--clearenv', '--', '/usr/sbin/sshd', '-i', '-e', '-f', '/device/sshd_config'],
  ]
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    const child = spawn(bwrap!, argv, { stdio: [socket, socket, 'pipe'], env: {} })
    socket.destroy()
    children.add(child)
    child.stderr!.resume()
    child.once('close', () => children.delete(child))
  })
  server.listen(0, '0.0.0.0')
  await once(server, 'listening')
  return server
}

interface Ran {
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
}

async function run(...args: string[]): Promise<Ran> {
  const env = { ...process.env, NODE_COMPILE_CACHE: join(dir, 'compile-cache') }
  const child = spawn(process.execPath, [main, 'fleet', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env,
  })
  const [stdout, stderr, exitCode] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise<number | null>((resolve) => child.once('close', resolve)),
  ])
  return { exitCode, stdout, stderr }
}

interface Served extends AsyncDisposable {
  readonly facts: { url: string; tunnel_port: number; authority: string }
  readonly stderr: () => string
  stop(): Promise<number | null>
}

async function serve(folder: string): Promise<Served> {
  const env = { ...process.env, NODE_COMPILE_CACHE: join(dir, 'compile-cache') }
  const child = spawn(
    process.execPath,
    [
      main,
      'fleet',
      'serve',
      '--dir',
      folder,
      '--host',
      '127.0.0.1',
      '--port',
      String(port),
      '--heartbeat',
      '10',
      '--json',
    ],
    { stdio: ['ignore', 'pipe', 'pipe'], env },
  )
  let stderr = ''
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString('utf8')
  })
  children.add(child)
  const exited = new Promise<number | null>((resolve) => child.once('close', resolve))
  exited.finally(() => children.delete(child))
  const line = await Promise.race([
    new Promise<string>((resolve) => child.stdout.once('data', (chunk: Buffer) => resolve(String(chunk)))),
    exited.then(() => {
      throw new Error(`it ended: ${stderr}`)
    }),
  ])
  const stop = () => {
    child.kill('SIGINT')
    return exited
  }
  return {
    ...{ facts: JSON.parse(line), stderr: () => stderr, stop },
    async [Symbol.asyncDispose]() {
      await stop()
    },
  }
}

const publicKey = async (name: string) =>
  (await readFile(join(deviceDir, `${name}.pub`), 'utf8')).trim().split(' ').slice(0, 2).join(' ')

/** A device as far as the protocol goes. */
async function registered(served: Served) {
  const token = randomBytes(32).toString('base64url')
  const ca = await readFile(served.facts.authority, 'utf8')
  const [key, hostKey] = [await publicKey('tunnel_key'), await publicKey('host_key')]
  const body = renderRegistration({ mac, token, publicKey: key, hostKey, version: '0.1.0' })
  const answer = await ask(port, { path: '/api/v1/devices/register', body, ca })
  expect(answer.status).toBe(200)
  const { id } = parseRegisterAnswer(answer.text)
  const heartbeat = async () => {
    const beat = renderHeartbeat({ version: '0.1.0', uptimeS: 1, tunnel: 'down', hostKey })
    const said = await ask(port, { path: `/api/v1/devices/${id}/heartbeat`, body: beat, ca, token })
    expect(said.status).toBe(200)
    return parseHeartbeatAnswer(said.text)
  }
  return { id, key, heartbeat }
}

/** What the device runs, with its sshd where this test has it. */
function openTunnel(tunnel: TunnelRequest, changes: (argument: string) => string = (argument) => argument) {
  const files = { key: join(deviceDir, 'tunnel_key'), knownHosts: join(deviceDir, 'known_hosts') }
  const sshdPort = (sshd.address() as AddressInfo).port
  return start([
    ...programs.argv('ssh'),
    ...tunnelArguments(tunnel, files).map((argument) =>
      changes(argument.replace(/:127\.0\.0\.1:22$/, `:127.0.0.1:${sshdPort}`)),
    ),
  ])
}

async function wantedTunnel(heartbeat: () => Promise<ReturnType<typeof parseHeartbeatAnswer>>) {
  const answer = await heartbeat()
  if (answer.state !== 'approved' || answer.tunnel === undefined) throw new Error('no tunnel is wanted')
  await writeFile(join(deviceDir, 'known_hosts'), renderKnownHosts(answer.tunnel))
  await writeFile(join(deviceDir, 'run/user-ca.pub'), `${answer.userAuthority}\n`)
  return answer.tunnel
}

const accepted =
  (folder: string) =>
  async (user: string, options: { validS?: number; waitMs?: number; as?: string } = {}) => {
    using store = new Store(folder)
    const device = store.list().find(({ state }) => state === 'approved')!
    await using certificate = await issueCertificate(programs, {
      ...{ dir: folder, store, device, user, validS: options.validS ?? 60, nowMs: Date.now() },
    })
    const args = await sessionArguments({ ...device, port: device.port! }, certificate, {
      user: options.as ?? user,
      command: ['echo', 'hello'],
    })
    await sleep(options.waitMs ?? 0)
    await using session = start([...programs.argv('ssh'), ...args])
    return { exitCode: await session.exited, said: session.said() }
  }

test('from the first start to a session, a restart of the server, and the end by revoking', {
  timeout: 180_000,
}, async () => {
  const folder = join(dir, 'server')
  let served = await serve(folder)
  const { id, key, heartbeat } = await registered(served)
  const listed = JSON.parse((await run('devices', '--dir', folder, '--json')).stdout)
  expect(listed).toMatchObject([{ id, mac, state: 'pending', key: fingerprint(key), port: null }])
  expect(await exec('ssh-keygen', '-l', '-f', join(deviceDir, 'tunnel_key.pub'))).toContain(fingerprint(key))
  expect(await run('ssh', id, '--user', 'alice', '--dir', folder)).toMatchObject({
    exitCode: 1,
    stderr: `atomixos: the device ${id} is pending\n  approve it: ./atomixos fleet approve ${id}\n`,
  })
  expect(await heartbeat()).toEqual({ state: 'pending', heartbeatS: 10 })
  expect(await run('approve', '02:00:5e:10:00:01', '--dir', folder)).toMatchObject({
    exitCode: 0,
    stdout: expect.stringContaining(`02:00:5e:10:00:01  ${id}  approved`),
  })

  // The server forgets nothing.
  expect(await served.stop()).toBe(0)
  served = await serve(folder)
  await using _ = { [Symbol.asyncDispose]: async () => void (await served.stop()) }
  await writeFile(join(deviceDir, 'run/principals-alice'), `${certificatePrincipal('alice', id)}\n`)
  await writeFile(join(deviceDir, 'run/principals-bob'), `${certificatePrincipal('bob', id)}\n`)

  const session = run('ssh', id, '--user', 'alice', '--dir', folder, '--', 'echo', 'hello')
  await expect
    .poll(async () => (await heartbeat()) as { tunnel?: unknown }, { timeout: 30_000 })
    .toMatchObject({
      tunnel: { host: '127.0.0.1', port: port + 1, user: 'tunnel' },
    })
  const tunnel = await wantedTunnel(heartbeat)
  {
    await using opened = openTunnel(tunnel)
    expect(await session).toMatchObject({ exitCode: 0, stdout: 'hello\n' })
    await expect.poll(() => served.stderr()).toContain(`tunnel of ${id} is open`)

    const login = accepted(folder)
    const refused = { exitCode: 255, said: expect.stringContaining('Permission denied (publickey)') }
    expect(await login('alice')).toMatchObject({ exitCode: 0, said: 'hello\n' })
    // Right in all but one thing each.
    expect(await login('bob'), 'bob is no administrator').toMatchObject(refused)
    expect(await login('bob', { as: 'alice' }), "bob's certificate").toMatchObject(refused)
    expect(await login('alice', { validS: 1, waitMs: 3000 }), 'expired').toMatchObject(refused)
    await writeFile(join(deviceDir, 'run/principals-alice'), `${certificatePrincipal('alice', 'another0')}\n`)
    expect(await login('alice'), 'for another device').toMatchObject(refused)
    await writeFile(join(deviceDir, 'run/principals-alice'), `${certificatePrincipal('alice', id)}\n`)
    expect(await login('alice')).toMatchObject({ exitCode: 0 })
    await rm(join(deviceDir, 'run/user-ca.pub'))
    expect(await login('alice'), 'no authority is trusted').toMatchObject(refused)
    await writeFile(join(deviceDir, 'run/user-ca.pub'), `${await publicKey('host_key')}\n`)
    expect(await login('alice'), 'another authority is trusted').toMatchObject(refused)

    expect(await run('revoke', id, '--dir', folder)).toMatchObject({ exitCode: 0 })
    expect(await opened.exited).toBe(255)
  }
  expect(await heartbeat()).toEqual({ state: 'revoked', heartbeatS: 10 })
  await using again = openTunnel(tunnel)
  expect(await again.exited).toBe(255)
  expect(again.said()).toContain('Permission denied (publickey)')
})

describe('the door for tunnels', () => {
  let served: Served
  let tunnel: TunnelRequest
  let folder: string
  beforeAll(async () => {
    folder = join(dir, 'door')
    served = await serve(folder)
    const { id, heartbeat } = await registered(served)
    using store = new Store(folder)
    store.approve(id)
    store.openSession(id, Date.now() + 120_000)
    tunnel = await wantedTunnel(heartbeat)
  })
  afterAll(() => served[Symbol.asyncDispose]())

  test.each<[string, (argument: string) => string]>([
    [
      'a port of another device',
      (argument) =>
        argument.replace(`127.0.0.1:${tunnel.remotePort}:`, `127.0.0.1:${tunnel.remotePort + 1}:`),
    ],
    [
      'a port for everybody',
      (argument) => argument.replace(`127.0.0.1:${tunnel.remotePort}:`, `0.0.0.0:${tunnel.remotePort}:`),
    ],
  ])('refuses %s', async (_, change) => {
    await using opened = openTunnel(tunnel, change)
    expect(await opened.exited).toBe(255)
    expect(opened.said()).toContain('remote port forwarding failed')
  })

  test('runs nothing, and leads nowhere', async () => {
    const arguments_ = tunnelArguments(tunnel, {
      key: join(deviceDir, 'tunnel_key'),
      knownHosts: join(deviceDir, 'known_hosts'),
    }).filter((argument) => argument !== '-N' && argument !== '-T')
    const at = arguments_.indexOf('-R')
    const plain = arguments_.toSpliced(at, 2)
    await using command = start([...programs.argv('ssh'), ...plain, 'id'])
    expect(await command.exited).toBe(255)
    expect(command.said()).not.toContain('uid=')
    const inward = plain.toSpliced(plain.indexOf('--'), 0, '-W', `127.0.0.1:${port}`)
    await using through = start([...programs.argv('ssh'), ...inward])
    expect(await through.exited).toBe(255)
    expect(through.said()).toContain('stdio forwarding failed')
  })

  test('is not believed when its key is another one', async () => {
    await cp(join(deviceDir, 'known_hosts'), join(deviceDir, 'known_hosts.kept'))
    await writeFile(join(deviceDir, 'known_hosts'), `fleet-tunnel ${await publicKey('host_key')}\n`)
    await using opened = openTunnel(tunnel)
    expect(await opened.exited).toBe(255)
    expect(opened.said()).toContain('Host key verification failed')
    await cp(join(deviceDir, 'known_hosts.kept'), join(deviceDir, 'known_hosts'))
  })

  test('certificates count on the loopback address only', async () => {
    // What is asked for by certificate is asked under this condition, and nothing else in the file mentions them.
    const settings = (sshModule.files!['/etc/ssh/sshd_config'] as { body: string }).body
    const [before, ...blocks] = settings.split(/^Match /m)
    expect(before).not.toContain('TrustedUserCAKeys')
    expect(blocks).toHaveLength(1)
    expect(blocks[0]).toMatch(/^Group sudo Address 127\.0\.0\.1 LocalAddress 127\.0\.0\.1\n/)
    expect(blocks[0]).toContain(`TrustedUserCAKeys ${fleetRuntimePaths.userAuthority}\n`)
  })
})

test('HTTPS answers questions of a bounded size, and nothing in the clear', async () => {
  await using served = await serve(join(dir, 'small'))
  const ca = await readFile(served.facts.authority, 'utf8')
  const path = '/api/v1/devices/register'
  expect((await ask(port, { path, body: 'x'.repeat(9000), ca })).status).toBe(413)
  expect(await ask(port, { path, body: '{}', ca })).toEqual({
    status: 400,
    text: '{"error":"\\"mac\\" is missing, or not what it has to be"}',
  })
  await expect(
    ask(port, { path, body: '{}', ca: await readFile(join(dir, 'server/tls/authority.pem'), 'utf8') }),
  ).rejects.toThrow()
})

test('what is not there is told, and what to do', async () => {
  const nowhere = join(dir, 'nowhere')
  expect(await run('devices', '--dir', nowhere)).toMatchObject({
    exitCode: 2,
    stderr: `atomixos: ${nowhere} is not the folder of a fleet server\n  name it with --dir, as \`./atomixos fleet serve\` was given it\n`,
  })
  expect(await run('serve', '--heartbeat', '5')).toMatchObject({ exitCode: 2 })
  expect(await run('serve', '--host', '-x')).toMatchObject({ exitCode: 2 })
})
