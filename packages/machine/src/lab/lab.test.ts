import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createMachine } from '../create-machine.ts'
import { writeEchoFirmware } from '../fixtures/echo-firmware.ts'
import { missing, testPrograms } from '../fixtures/programs.ts'
import { run } from '../run.ts'
import type { Lab } from '../types.ts'
import { createLab } from './lab.ts'
import { tapsAllowed } from './plug.ts'

const absent = missing(
  'unshare',
  'nsenter',
  'ip',
  'tee',
  'cat',
  'bwrap',
  'setpriv',
  'sh',
  'ping',
  'ncat',
  'tcpdump',
)
const forbidden = absent || (await whyNoNamespaces())

async function whyNoNamespaces(): Promise<string | false> {
  const result = await run([
    ...testPrograms().argv('unshare'),
    '--user',
    '--map-root-user',
    '--net',
    '--',
    ...testPrograms().argv('cat'),
  ])
  return result.exitCode !== 0 && result.stderr.trim()
}

describe.skipIf(forbidden)(`labs${forbidden ? ` (skipped: ${forbidden})` : ''}`, () => {
  let dir: string
  let lab: Lab

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'labs-'))
    lab = await createLab({ programs: testPrograms(), dir })
  })
  afterEach(async () => {
    await lab[Symbol.asyncDispose]()
    await rm(dir, { recursive: true })
  })

  async function twoHosts() {
    await lab.bridge('wan')
    await lab.bridge('lan')
    const server = await lab.host('server', { wan: { addresses: ['198.51.100.1/24', '2001:db8::1/64'] } })
    const client = await lab.host('client', {
      wan: { addresses: ['198.51.100.2/24', '2001:db8::2/64'], mac: '02:00:00:00:00:02' },
      lan: { addresses: ['10.9.0.2/24'] },
    })
    return { server, client }
  }
  const ping = (...args: string[]) => ['ping', '-c', '1', '-W', '2', ...args]

  test('hosts on one bridge reach each other, by IPv4 and IPv6, and nobody else', async () => {
    const { server, client } = await twoHosts()
    await client.succeed(ping('198.51.100.1'))
    await client.succeed(ping('2001:db8::1'))
    // The other bridge is another network, and nothing leads out of the lab.
    await server.fail(ping('10.9.0.2'))
    expect(await server.fail(ping('192.0.2.1'))).toContain('Network is unreachable')
    expect(await server.succeed(['ip', '-o', 'route'])).toBe(
      '198.51.100.0/24 dev wan proto kernel scope link src 198.51.100.1 \n',
    )
    // A program that the lab knows nothing of, in the network of one of them.
    const foreign = await run(client.enter([...testPrograms().argv('ip'), '-o', '-4', 'address']))
    expect(foreign.stdout).toContain('198.51.100.2/24')
    expect(foreign.stdout).not.toContain('198.51.100.1/24')
    for (const { address } of Object.values(networkInterfaces()).flatMap((list) => list ?? [])) {
      if (!address.includes(':') && !address.startsWith('127.')) await server.fail(ping(address))
    }
  })

  test('a host forwards nothing, whatever this machine does', async () => {
    const { client } = await twoHosts()
    const settings = ['net.ipv4.ip_forward', 'net.ipv6.conf.all.forwarding'].map((name) =>
      readFile(`/proc/sys/${name.replaceAll('.', '/')}`, 'utf8'),
    )
    const before = await Promise.all(settings)
    expect(
      await client.succeed([
        'cat',
        '/proc/sys/net/ipv4/ip_forward',
        '/proc/sys/net/ipv6/conf/all/forwarding',
      ]),
    ).toBe('0\n0\n')
    expect(await Promise.all(settings)).toEqual(before)
  })

  test('servers run until they are stopped, and what they say can be waited for', async () => {
    const { server, client } = await twoHosts()
    const ncat = await server.spawn(['ncat', '-v', '-l', '-k', '8080', '-c', 'echo hello'])
    expect(await ncat.waitForOutput(/Listening on [\d.]+/)).toBe('Listening on 0.0.0.0')
    const ask = ['ncat', '--recv-only', '198.51.100.1', '8080']
    expect(await client.succeed(ask)).toBe('hello\n')
    await ncat.stop()
    expect(ncat.running).toBe(false)
    expect(await client.fail(ask)).toContain('Connection refused')
    await expect(ncat.waitForOutput(/never/)).rejects.toThrow(
      /^server: ncat -v -l -k 8080 -c echo hello: waiting for output \/never\/: the program ended: /,
    )
  })

  test('the environment of a program is the one it is given, and its input too', async () => {
    const { client } = await twoHosts()
    const output = await client.succeed(
      ['sh', '-c', 'cat; echo $FACT $HOME; hostname 2>/dev/null || cat /proc/sys/kernel/hostname'],
      {
        stdin: 'input ',
        env: { FACT: 'known' },
      },
    )
    expect(output).toBe('input known /root\nclient\n')
    await expect(client.succeed(['false'])).rejects.toThrow('host client: exit code 1: false')
    await expect(client.succeed(['sleep', '60'], { timeoutMs: 200 })).rejects.toThrow('timed out after 0.2 s')
  })

  test('what a host writes to its own folders stays for its next program, and is not this machine', async () => {
    const { client, server } = await twoHosts()
    await client.succeed(['sh', '-c', 'echo mine >/var/lib/thing; echo t >/run/thing; echo t >/tmp/thing'])
    expect(await client.succeed(['cat', '/var/lib/thing'])).toBe('mine\n')
    await server.fail(['cat', '/var/lib/thing'])
    expect(existsSync('/var/lib/thing')).toBe(false)
  })

  test('a capture shows the frames of its bridge', async () => {
    const { client } = await twoHosts()
    const wan = await lab.bridge('wan')
    await using capture = await wan.capture(join(dir, 'wan.pcap'), 'icmp')
    await client.succeed(ping('198.51.100.1'))
    const packets = (await capture.stop()).map((line) => line.replace(/^\S+ /, '').replace(/, id.*/, ''))
    expect(packets).toEqual([
      'IP 198.51.100.2 > 198.51.100.1: ICMP echo request',
      'IP 198.51.100.1 > 198.51.100.2: ICMP echo reply',
    ])
  })

  test('the bridges themselves say nothing', async () => {
    const lan = await lab.bridge('lan')
    await using capture = await lan.capture(join(dir, 'lan.pcap'))
    await new Promise((resolve) => setTimeout(resolve, 1500))
    expect(await capture.stop()).toEqual([])
  })

  test('nothing is left when it ends: no process, no socket folder', async () => {
    const before = await processesNaming(dir)
    const { server } = await twoHosts()
    await server.spawn(['sleep', '600'])
    await server.spawn(['sh', '-c', 'sleep 600 & sleep 600'])
    await (await lab.bridge('wan')).capture(join(dir, 'x.pcap'))
    expect((await processesNaming(dir)).length).toBeGreaterThan(before.length)
    await lab[Symbol.asyncDispose]()
    await expect.poll(() => processesNaming(dir)).toEqual([])
  })

  test('unknown bridges, doubled hosts and bad names are errors that say what there is', async () => {
    await lab.bridge('wan')
    await lab.host('a', { wan: {} })
    await expect(lab.host('a', {})).rejects.toThrow('the lab has a host a already')
    await expect(lab.host('b', { lan: {} })).rejects.toThrow('the lab has no bridge lan; there are wan')
    await expect(lab.plug('lan')).rejects.toThrow('the lab has no bridge lan; there are wan')
    await expect(lab.bridge('NO')).rejects.toThrow('"NO" is no name for a bridge')
  })

  const noPlug = missing('qemu-system-aarch64') || (!tapsAllowed() && missing('socat', 'ethtool'))
  test.skipIf(noPlug)(
    `QEMU runs in the lab, plugged into its bridges${noPlug ? ` (skipped: ${noPlug})` : ''}`,
    async () => {
      await lab.bridge('wan')
      const machine = await createMachine({
        name: 'echo',
        programs: testPrograms(),
        dir: join(dir, 'echo'),
        firmware: await writeEchoFirmware(dir),
        agent: false,
        lab,
        nics: [{ kind: 'bridge', bridge: 'wan' }],
      })
      await machine.start()
      await machine.waitForConsoleText('ready')
      const ports = () =>
        run(lab.enter([...testPrograms().argv('ip'), '-br', 'link', 'show', 'master', 'wan']))
      expect((await ports()).stdout).toMatch(/^(tap|relay)1\S* +(UP|UNKNOWN) /)
      await machine.crash()
      expect((await ports()).stdout).toBe('')
      await machine.start()
      await machine.waitForConsoleText('ready')
      await machine.stop()
    },
  )
})

/** Processes with this text in their command line: what runs on a lab's hosts is given the lab's folder. */
async function processesNaming(text: string): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')))
  return lines.filter((line) => line.includes(text))
}
