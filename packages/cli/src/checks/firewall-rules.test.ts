import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bootUiSet, type NetworkSettings, networkDefaults, renderFirewall } from '@atomixos/config'
import { openTestInputs } from '@atomixos/image/tools/test-inputs.ts'
import { createLab, type Lab, type LabHost, treePrograms } from '@atomixos/machine'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'

/**
 * The rules in a kernel, with packets: a network namespace stands in for the gateway, its cards called as there. The
 * kernel is this machine's; the stories of e2e/ do the same with the device's own.
 */

const wanAddress = '203.0.113.7'
const lanAddress = '172.20.30.1'
/** Where something listens on the gateway, on every address. */
const listeningPorts = [22, 80, 443, 5000, 8080]

let dir: string
let lab: Lab
let gateway: LabHost
let wan: LabHost
let lan: LabHost

async function whyNot(): Promise<string | false> {
  try {
    dir = await mkdtemp(join(tmpdir(), 'atomixos-rules-'))
    const tree = await (await openTestInputs()).toolTree('tools-machine')
    lab = await createLab({ programs: treePrograms(tree.dir), dir })
    for (const name of ['eth0', 'eth1']) await lab.bridge(name)
    gateway = await lab.host('gateway', {
      eth0: { addresses: [`${wanAddress}/24`, '2001:db8::7/64'] },
      eth1: { addresses: [`${lanAddress}/24`, 'fd00::1/64'] },
    })
    await gateway.succeed(['nft', 'list', 'ruleset'])
    return false
  } catch (error) {
    return (error as Error).message.split('\n')[0]!
  }
}

const forbidden = await whyNot()
afterAll(async () => {
  await lab?.[Symbol.asyncDispose]()
  await rm(dir, { recursive: true, force: true })
})

describe.skipIf(forbidden)(`rules${forbidden ? ` (skipped: ${forbidden})` : ''}`, () => {
  beforeAll(async () => {
    wan = await lab.host('wan', { eth0: { addresses: ['203.0.113.1/24', '2001:db8::1/64'] } })
    lan = await lab.host('lan', { eth1: { addresses: ['172.20.30.50/24', 'fd00::50/64'] } })
    await wan.succeed(['ip', 'route', 'add', '172.20.30.0/24', 'via', wanAddress])
    await lan.succeed(['ip', 'route', 'add', 'default', 'via', lanAddress])
    for (const port of listeningPorts) {
      await gateway.spawn(['socat', `TCP6-LISTEN:${port},ipv6only=0,fork,reuseaddr`, 'PIPE'])
    }
    for (const port of listeningPorts) await lan.waitUntilSucceeds(probe(lanAddress, port))
  })
  beforeEach(() => load({}))

  async function load(settings: Partial<NetworkSettings>, extra = '') {
    await writeFile(join(gateway.dir, 'tmp/rules'), renderFirewall({ ...networkDefaults, ...settings }))
    await writeFile(join(gateway.dir, 'tmp/extra'), extra)
    await gateway.succeed(['nft', '-f', '/tmp/rules'])
    await gateway.succeed(['nft', '-f', '/tmp/extra'])
  }

  /** Says something to the port; succeeds when it comes back. */
  function probe(address: string, port: number): string[] {
    const family = address.includes(':') ? `TCP6:[${address}]` : `TCP4:${address}`
    const say = `echo hello | socat -t 5 - ${family}:${port},connect-timeout=1 | grep -q hello`
    return ['sh', '-c', say]
  }

  async function openPorts(from: LabHost, address: string): Promise<number[]> {
    const answers = await Promise.all(
      listeningPorts.map(async (port) => (await from.run(probe(address, port))).exitCode === 0),
    )
    return listeningPorts.filter((_, index) => answers[index])
  }

  const ping = (address: string) => ['ping', '-c', '1', '-W', '1', address]
  const wanTcp = (...tcp: number[]) => ({
    firewall: { ...networkDefaults.firewall, wan: { tcp, udp: [] } },
  })

  test('by default the WAN gets in nowhere, the LAN everywhere', async () => {
    expect(await openPorts(wan, wanAddress)).toEqual([])
    await wan.fail(ping(wanAddress))
    expect(await openPorts(lan, lanAddress)).toEqual(listeningPorts)
    await lan.succeed(ping(lanAddress))
  })

  test('the gateway itself gets out, and gets its answers', async () => {
    await using _ = await wan.spawn(['socat', 'TCP4-LISTEN:81,fork,reuseaddr', 'PIPE'])
    await gateway.waitUntilSucceeds(probe('203.0.113.1', 81))
    await gateway.succeed(ping('203.0.113.1'))
    await gateway.succeed(ping('172.20.30.50'))
  })

  test('the WAN gets in where the operator says, and never to the API', async () => {
    await load(wanTcp(443, 8080, 22))
    expect(await openPorts(wan, wanAddress)).toEqual([443])
    await load({ ...wanTcp(443), sshOnWan: true })
    expect(await openPorts(wan, wanAddress)).toEqual([22, 443])
  })

  test('the boot UI is reached from the WAN until rules are loaded again', async () => {
    await gateway.succeed(['nft', 'add', 'element', 'inet', 'atomixos', bootUiSet, '{ 8080 }'])
    expect(await openPorts(wan, wanAddress)).toEqual([8080])
    expect(await openPorts(wan, lanAddress)).toEqual([])
    await load({})
    expect(await openPorts(wan, wanAddress)).toEqual([])
  })

  test('a LAN with a list of ports has those and the platform’s own', async () => {
    await load({ firewall: { wan: { tcp: [], udp: [] }, lan: { tcp: [443], udp: [] } } })
    expect(await openPorts(lan, lanAddress)).toEqual([22, 443, 8080])
    await lan.succeed(ping(lanAddress))
    expect(await openPorts(wan, wanAddress)).toEqual([])
  })

  test('an address is reached through its own interface only', async () => {
    await load(wanTcp(80))
    expect(await openPorts(wan, wanAddress)).toEqual([80])
    expect(await openPorts(wan, lanAddress)).toEqual([])
    expect(await openPorts(lan, wanAddress)).toEqual([])
  })

  test('nobody on the WAN passes for a machine of the LAN, nor the other way round', async () => {
    await load(wanTcp(80))
    await wan.succeed(['ip', 'addr', 'add', '172.20.30.77/32', 'dev', 'eth0'])
    await gateway.succeed(['ip', 'route', 'add', '172.20.30.77/32', 'via', '203.0.113.1'])
    await lan.succeed(['ip', 'addr', 'add', '203.0.113.99/32', 'dev', 'eth1'])
    const from = (address: string, to: string) => [
      'sh',
      '-c',
      `echo hello | socat -t 5 - TCP4:${to}:80,bind=${address},connect-timeout=1 | grep -q hello`,
    ]
    await wan.fail(from('172.20.30.77', wanAddress))
    await lan.fail(from('203.0.113.99', lanAddress))
    expect(await drops('saddr')).toBeGreaterThan(1)
    // What is for the LAN does not leave on the WAN, whatever a route says.
    await gateway.fail(ping('172.20.30.77'))
    await gateway.succeed(['ip', 'route', 'del', '172.20.30.77/32'])
    await wan.succeed(['ip', 'addr', 'del', '172.20.30.77/32', 'dev', 'eth0'])
    await lan.succeed(['ip', 'addr', 'del', '203.0.113.99/32', 'dev', 'eth1'])
  })

  test('nothing is forwarded, even if the kernel would and another table allows it', async () => {
    await gateway.succeed(['sh', '-c', 'echo 1 >/proc/sys/net/ipv4/ip_forward'])
    await wan.succeed(['ip', 'route', 'replace', '172.20.30.0/24', 'via', wanAddress])
    // Both would get through without our table.
    await gateway.succeed(['nft', 'destroy', 'table', 'inet', 'atomixos'])
    await lan.succeed(ping('203.0.113.1'))
    await wan.succeed(ping('172.20.30.50'))
    const accepting = (name: string, priority: number) =>
      `table inet ${name} {\n  chain forward {\n    type filter hook forward priority ${priority}; policy accept;\n    accept\n  }\n}\n`
    await load({}, accepting('after', 0) + accepting('before', -400))
    await lan.fail(ping('203.0.113.1'))
    await wan.fail(ping('172.20.30.50'))
    for (const name of ['after', 'before']) await gateway.succeed(['nft', 'destroy', 'table', 'inet', name])
    await gateway.succeed(['sh', '-c', 'echo 0 >/proc/sys/net/ipv4/ip_forward'])
  })

  test('there is no IPv6, with or without addresses', async () => {
    await load(wanTcp(80))
    expect(await openPorts(wan, '2001:db8::7')).toEqual([])
    expect(await openPorts(lan, 'fd00::1')).toEqual([])
    await gateway.fail(ping('fd00::50'))
  })

  /** Says one, and two when it is told to go on; what comes back is its output. */
  const talk = (name: string) => {
    const words = `echo one; until [ -e /tmp/${name} ]; do sleep 0.1; done; echo two; sleep 10`
    return wan.spawn(['sh', '-c', `(${words}) | socat -t 5 - TCP4:${wanAddress}:22`])
  }
  const goOn = (name: string) => writeFile(join(wan.dir, 'tmp', name), '')

  test('what is closed is closed for those inside, too', async () => {
    await load({ sshOnWan: true })
    await using session = await talk('closed')
    await session.waitForOutput(/one/)
    await load({ sshOnWan: false })
    await goOn('closed')
    await expect(session.waitForOutput(/two/, { timeoutMs: 5_000 })).rejects.toThrow()
  })

  test('sessions go on when the rules are loaded again', async () => {
    await load({ sshOnWan: true })
    await using session = await talk('open')
    await session.waitForOutput(/one/)
    await load({ sshOnWan: true, ...wanTcp(443) })
    await goOn('open')
    await session.waitForOutput(/two/, { timeoutMs: 10_000 })
  })

  test('whoever knocks too often is not heard for a while; others are', async () => {
    // The first packet of a flow, from one port after the other, faster than a connection comes about.
    const knock = `for my $i (1..2000) { socket(S, 2, 2, 17) and send(S, 'x', 0, pack('SnC4x8', 2, 81, split(/\\./, '${wanAddress}'))) }`
    await load({ firewall: { ...networkDefaults.firewall, wan: { tcp: [80], udp: [81] } } })
    await wan.succeed(['perl', '-e', knock])
    expect(await drops('@wan_sources')).toBeGreaterThan(0)
    await lan.succeed(probe(lanAddress, 80))
  })

  /** Packets that rules with this text in them have dropped. */
  async function drops(text: string): Promise<number> {
    const rules = await gateway.succeed(['nft', 'list', 'table', 'inet', 'atomixos'])
    const counts = rules.split('\n').flatMap((line) => {
      const packets = /counter packets (\d+)/.exec(line)?.[1]
      return line.includes(text) && packets !== undefined ? [Number(packets)] : []
    })
    return counts.reduce((sum, count) => sum + count, 0)
  }
})
