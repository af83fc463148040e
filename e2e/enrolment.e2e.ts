/** Remote access: enrolment with approval, a session by a certificate that expires, an outage over a restart, revocation. */
import { execFile } from 'node:child_process'
import { copyFile, mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fleetAccount, fleetFolder, fleetRuntimePaths, fleetUnit } from '@atomixos/config'
import {
  type Device,
  fingerprint,
  holdSession,
  issueCertificate,
  sessionArguments,
  type UserCertificate,
  waitForTunnel,
} from '@atomixos/fleet'
import type { Machine } from '@atomixos/machine'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createStoryFleet, type StoryFleet } from './fleet-server.ts'
import { waitUntilUp } from './gateway.ts'
import { gatewayMac } from './gateway-network.ts'
import { lanAddress, lanMachine } from './operator-network.ts'
import { type ProvisionedGateway, provisionedGateway } from './provisioned.ts'
import { fleetPrograms, storyDir } from './setup.ts'

interface Said {
  readonly exitCode: number | null
  readonly text: string
}

describe('enrolment', () => {
  let device: ProvisionedGateway
  let gateway: Machine
  let fleet: StoryFleet
  let dir: string
  const never = new AbortController().signal

  beforeAll(async () => {
    device = await provisionedGateway(join(await storyDir('enrolment'), 'device'))
    gateway = device.gateway
    dir = join(device.network.lab.dir, 'fleet')
    fleet = await createStoryFleet(device.network)
    await fleet.start()
    await addPeople()
  })
  afterAll(async () => {
    await fleet?.[Symbol.asyncDispose]()
    await device?.[Symbol.asyncDispose]()
  })

  /** As the configuration makes them: alice is an administrator, bob is not. Gone with a restart. */
  async function addPeople(): Promise<void> {
    const lines = [
      "echo 'alice:x:1001:1001::/run/alice:/bin/sh\nbob:x:1002:1002::/run/bob:/bin/sh' >>/etc/passwd",
      "echo 'alice:*:::::::\nbob:*:::::::' >>/etc/shadow",
      "echo 'alice:x:1001:\nbob:x:1002:' >>/etc/group",
      "sed -i 's/^sudo:.*/&alice/' /etc/group",
      'mkdir -p /run/alice /run/bob; chown 1001 /run/alice',
    ]
    await gateway.succeed(lines.join('; ').replaceAll("echo '", "printf '%b\\n' '"))
  }

  const listening = () => gateway.succeed("ss -Hlntu | awk '{ print $1, $5 }' | sort -u")
  const shown = async () =>
    JSON.parse(await gateway.succeed('atomixctl fleet status --json', { timeoutMs: 60_000 })) as Record<
      string,
      string | undefined
    >
  const only = (): Device => {
    const current = fleet.server.store.list().filter(({ state }) => state !== 'revoked')
    expect(current).toHaveLength(1)
    return current[0]!
  }
  /** Looks at what the server has in its books until it is so. */
  const until = (what: string, is: () => boolean, timeoutMs = 90_000) =>
    expect.poll(is, { timeout: timeoutMs, interval: 300, message: what }).toBe(true)

  async function enrol(): Promise<Device> {
    await gateway.writeFile('/run/ca.pem', await readFile(fleet.server.certificate.authorityPath!, 'utf8'))
    await gateway.succeed(`atomixctl fleet enrol ${fleet.url} --ca /run/ca.pem`, { timeoutMs: 90_000 })
    await until('the device is registered', () =>
      fleet.server.store.list().some(({ state }) => state === 'pending'),
    )
    return only()
  }

  async function approve(id: string): Promise<void> {
    fleet.server.store.approve(id)
    await gateway.waitUntilSucceeds(`test -e ${fleetRuntimePaths.userAuthority}`, { timeoutMs: 90_000 })
  }

  const certificateFor = (user: string, validS: number, of: Device = only()) =>
    issueCertificate(fleetPrograms, {
      ...{ dir, store: fleet.server.store, device: of, user, validS, nowMs: Date.now() },
    })

  async function login(certificate: UserCertificate, user: string, ...command: string[]): Promise<Said> {
    const { id } = only()
    const reached = await waitForTunnel(fleet.server.store, id, { timeoutMs: 120_000, signal: never })
    const [program, ...loader] = fleetPrograms.argv('ssh')
    const args = await sessionArguments(reached, certificate, { user, command })
    return new Promise((resolve) => {
      execFile(program!, [...loader, ...args], { timeout: 120_000, env: {} }, (error, stdout, stderr) => {
        const exitCode = error === null ? 0 : typeof error.code === 'number' ? error.code : null
        resolve({ exitCode, text: stdout + stderr })
      })
    })
  }

  test('nothing runs before somebody enrols the device', async () => {
    expect((await gateway.execute(`systemctl is-active ${fleetUnit}`)).stdout).toBe('inactive\n')
    expect(await gateway.succeed('atomixctl fleet status')).toBe('this device belongs to no fleet\n')
  })

  test('it registers, waits for the approval, and then takes certificates; nothing new listens', async () => {
    const before = await listening()
    const { id, mac, publicKey } = await enrol()
    expect(mac).toBe(gatewayMac.replaceAll(':', ''))
    await expect.poll(shown, { timeout: 60_000, interval: 1000 }).toMatchObject({ state: 'pending', id })
    // What an operator compares.
    expect((await shown()).fingerprint).toBe(fingerprint(publicKey))
    await gateway.fail(`test -e ${fleetRuntimePaths.userAuthority}`)
    expect(() => holdSession(fleet.server.store, id)).toThrow('is pending')
    await approve(id)
    expect(await listening()).toBe(before)
    expect(await gateway.succeed(`stat -c %U:%a ${fleetFolder} ${fleetFolder}/tunnel_key`)).toBe(
      `${fleetAccount}:700\n${fleetAccount}:600\n`,
    )
  })

  test('a session opens through the tunnel, for an administrator, until the certificate has expired', async () => {
    using _ = holdSession(fleet.server.store, only().id)
    await waitForTunnel(fleet.server.store, only().id, { timeoutMs: 120_000, signal: never })
    await using short = await certificateFor('alice', 60)
    expect(await login(short, 'alice', 'id', '-un')).toEqual({ exitCode: 0, text: 'alice\n' })
    const refused = (said: Said) =>
      expect(said).toMatchObject({ exitCode: 255, text: expect.stringContaining('Permission denied') })
    // For nobody else, and for no other device; the authority's signature is right in each.
    refused(await login(short, 'root', 'id'))
    await using forBob = await certificateFor('bob', 600)
    refused(await login(forBob, 'bob', 'id'))
    await using elsewhere = await certificateFor('alice', 600, { ...only(), id: '0123456789abcdef' })
    refused(await login(elsewhere, 'alice', 'id'))
    // From the LAN it is worth nothing, expired or not.
    await using long = await certificateFor('alice', 600)
    refused(await fromLan(long))
    await until('the certificate has expired', () => Date.now() > short.untilMs)
    await gateway.waitUntilSucceeds(`test $(date +%s) -gt ${Math.ceil(short.untilMs / 1000)}`)
    refused(await login(short, 'alice', 'id'))
    expect(await login(long, 'alice', 'cat', '/proc/sys/kernel/hostname')).toEqual({
      exitCode: 0,
      text: await gateway.succeed('cat /proc/sys/kernel/hostname'),
    })
  })

  async function fromLan(certificate: UserCertificate): Promise<Said> {
    const machine = await lanMachine(device.network)
    const folder = join(device.network.lab.dir, 'lan-key')
    await mkdir(folder)
    await copyFile(certificate.keyPath, join(folder, 'key'))
    await copyFile(certificate.certificatePath, join(folder, 'key-cert.pub'))
    const { exitCode, stdout, stderr } = await machine.run(
      [
        ...['ssh', '-F', 'none', '-i', join(folder, 'key'), '-o', 'BatchMode=yes', '-o', 'ConnectTimeout=20'],
        ...[
          '-o',
          'StrictHostKeyChecking=no',
          '-o',
          'UserKnownHostsFile=/dev/null',
          `alice@${lanAddress}`,
          'id',
        ],
      ],
      { timeoutMs: 60_000 },
    )
    return { exitCode, text: stdout + stderr }
  }

  test('without its server the device starts and is well, and comes back by itself when the server does', async () => {
    const { id } = only()
    await fleet.stop()
    await gateway.succeed('sync')
    await gateway.reboot({ timeoutMs: 400_000 })
    await waitUntilUp(gateway)
    await addPeople()
    await expect
      .poll(async () => (await shown()).problem, { timeout: 120_000, interval: 1000 })
      .toContain('the fleet server refuses the connection')
    expect(await gateway.failedUnits()).toEqual([])
    // What was approved has to be approved in this run, too.
    await gateway.fail(`test -e ${fleetRuntimePaths.userAuthority}`)
    await fleet.start()
    const sinceMs = Date.now()
    await until('a heartbeat comes', () => (fleet.server.store.get(id)?.seenMs ?? 0) > sinceMs, 120_000)
    expect(only()).toMatchObject({ id, state: 'approved' })
  })

  test('revoking it ends the session that is open, and all trust', async () => {
    const { id } = only()
    using _ = holdSession(fleet.server.store, id)
    await using certificate = await certificateFor('alice', 600)
    const session = login(certificate, 'alice', 'echo', 'begun', '>/run/alice/begun;', 'sleep', '600')
    await gateway.waitUntilSucceeds('test -e /run/alice/begun', { timeoutMs: 120_000 })
    fleet.server.store.revoke(id)
    expect(await session).toMatchObject({ exitCode: 255 })
    await gateway.waitUntilSucceeds(`test ! -e ${fleetRuntimePaths.userAuthority}`, { timeoutMs: 90_000 })
    expect(await shown()).toMatchObject({ state: 'revoked', tunnel: 'down' })
  })

  test('a device that leaves has no key and no token any more, and enrols as a new one', async () => {
    const old = fleet.server.store.list()[0]!
    await gateway.succeed('atomixctl fleet leave', { timeoutMs: 60_000 })
    expect(await gateway.succeed(`ls -A ${fleetFolder}`)).toBe('')
    const next = await enrol()
    expect(next).toMatchObject({ mac: old.mac, state: 'pending' })
    expect(next.publicKey).not.toBe(old.publicKey)
    expect(await gateway.failedUnits()).toEqual([])
  })
})
