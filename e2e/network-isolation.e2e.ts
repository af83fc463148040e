/** Two networks that never touch: what the LAN gets from the gateway, and that nothing else passes, whoever tries. */
import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { lanSettingsPath } from '@atomixos/config'
import type { LabHost, Machine } from '@atomixos/machine'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sendAdvertisement, sendRouted } from './forged-packets.ts'
import { gatewayMac, lanMac, providerAddress, updateHostName } from './gateway-network.ts'
import { lanAddress, lanMachine, machineAddress, reloadNetwork, wanAddressOf } from './operator-network.ts'
import { linkLocal } from './port-scan.ts'
import { type ProvisionedGateway, provisionedGateway } from './provisioned.ts'
import { storyDir } from './setup.ts'

const clientMac = '52:54:00:12:ab:cd'
const ping = (address: string) => ['ping', '-c', '2', '-W', '1', address]

describe('network-isolation', () => {
  let dir: string
  let device: ProvisionedGateway
  let gateway: Machine
  let client: LabHost
  let machine: LabHost
  let wanAddress: string

  beforeAll(async () => {
    dir = await storyDir('network-isolation')
    device = await provisionedGateway(join(dir, 'device'))
    gateway = device.gateway
    wanAddress = await wanAddressOf(gateway)
    machine = await lanMachine(device.network)
    client = await device.network.lab.host('client', { lan: { mac: clientMac } })
    const script = join(client.dir, 'run/lease')
    await writeFile(
      script,
      '#!/bin/sh\n[ "$1" != bound ] || echo "ip=$ip router=$router dns=$dns ntp=$ntpsrv domain=$domain"\n',
    )
    await chmod(script, 0o755)
  })
  afterAll(async () => {
    await device?.[Symbol.asyncDispose]()
  })

  /** Asks for an address and takes it. */
  async function lease(): Promise<string[]> {
    const said = await client.succeed(
      ['udhcpc', '-i', 'lan', '-n', '-q', '-f', '-t', '5', '-s', '/run/lease', '-O', 'ntpsrv'],
      { timeoutMs: 60_000 },
    )
    const found = /ip=(\S+) router=(\S*) dns=(\S*) ntp=(\S*) domain=(\S*)/.exec(said)!.slice(1)
    await client.succeed(['ip', 'addr', 'flush', 'dev', 'lan'])
    await client.succeed(['ip', 'addr', 'add', `${found[0]}/24`, 'dev', 'lan'])
    await writeFile(
      join(client.dir, 'etc/resolv.conf'),
      `nameserver ${found[2]}\noptions attempts:2 timeout:3\n`,
    )
    return found
  }
  const lookUp = (name: string) => ['getent', 'ahostsv4', name]
  const askTime = (address: string) => [
    'chronyd',
    '-Q',
    '-t',
    '15',
    '-U',
    '-u',
    'root',
    `server ${address} iburst`,
  ]

  test('the LAN gets addresses, names and the time, and no way out', async () => {
    const [address, ...rest] = await lease()
    expect(address).toMatch(/^172\.20\.30\.\d+$/)
    expect(rest).toEqual(['', lanAddress, lanAddress, 'local'])
    expect(await client.succeed(lookUp('atomixos.local'))).toContain(lanAddress)
    await client.succeed(askTime(lanAddress), { timeoutMs: 60_000 })
  })

  test('a name of the world is not known, and nobody outside is asked for it', async () => {
    const wan = await device.network.lab.bridge('wan')
    await using capture = await wan.capture(join(dir, 'names.pcap'), 'port 53')
    await client.fail(lookUp(updateHostName))
    await client.fail(lookUp('secret.in.a.question.example.com'))
    const packets = await capture.stop()
    expect(packets.filter((line) => /updates\.test|example\.com/.test(line))).toEqual([])
  })

  test('the time is not served on the WAN', async () => {
    await device.network.provider.fail(askTime(wanAddress), { timeoutMs: 60_000 })
  })

  /** Tries all ways across in both directions; what was seen of it on the other side. */
  async function attempts(name: string): Promise<{ onWan: string[]; onLan: string[] }> {
    const { provider, lab } = device.network
    const [wan, lan] = [await lab.bridge('wan'), await lab.bridge('lan')]
    await provider.succeed(['ip', 'route', 'replace', '172.20.30.0/24', 'via', wanAddress])
    // Of the gateway's own packets: what comes from or is for the other side.
    await using onWan = await wan.capture(
      join(dir, `${name}-wan.pcap`),
      `ether src ${gatewayMac} and net 172.20.30.0/24`,
    )
    await using onLan = await lan.capture(
      join(dir, `${name}-lan.pcap`),
      `ether src ${lanMac} and net 203.0.113.0/24`,
    )
    await machine.fail(ping(providerAddress))
    await machine.fail(ping(wanAddress))
    await machine.fail(['socat', '-u', '/dev/null', `TCP4:${providerAddress}:53,connect-timeout=2`])
    await machine.run(['socat', '-u', 'SYSTEM:echo question', `UDP4-SENDTO:${providerAddress}:53`])
    await provider.run(['socat', '-u', 'SYSTEM:echo question', `UDP4-SENDTO:${machineAddress}:53`])
    // With the way written into the packet, loose and strict.
    await sendRouted(machine, machineAddress, lanAddress, providerAddress)
    await sendRouted(provider, providerAddress, wanAddress, machineAddress)
    await provider.fail(ping(machineAddress))
    await provider.fail(ping(lanAddress))
    for (const port of [22, 53, 8080]) {
      await provider.fail(['socat', '-u', '/dev/null', `TCP4:${lanAddress}:${port},connect-timeout=2`])
    }
    // With an address of the LAN as its own.
    await provider.succeed(['ip', 'addr', 'replace', '172.20.30.77/32', 'dev', 'wan'])
    await provider.fail(['ping', '-c', '2', '-W', '1', '-I', '172.20.30.77', wanAddress])
    await provider.succeed(['ip', 'addr', 'del', '172.20.30.77/32', 'dev', 'wan'])
    return { onWan: await onWan.stop(), onLan: await onLan.stop() }
  }

  test('nothing crosses in either direction', async () => {
    expect(await attempts('as-built')).toEqual({ onWan: [], onLan: [] })
  })

  test('nor when somebody has switched forwarding on, and another table accepts everything', async () => {
    await gateway.succeed('sysctl -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1')
    await gateway.writeFile(
      '/run/other.nft',
      [-400, 0, 100]
        .map(
          (priority, index) =>
            `table inet other${index} {\n chain f {\n type filter hook forward priority ${priority}; policy accept;\n accept\n }\n}\n`,
        )
        .join(''),
    )
    await gateway.succeed('nft -f /run/other.nft')
    expect(await attempts('forwarding')).toEqual({ onWan: [], onLan: [] })
    await gateway.succeed('sysctl -w net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0')
    await gateway.succeed('for i in 0 1 2; do nft delete table inet other$i; done')
  })

  test('nobody on the WAN gets an address from the gateway', async () => {
    const wan = await device.network.lab.bridge('wan')
    await using capture = await wan.capture(
      join(dir, 'dhcp.pcap'),
      `ether src ${gatewayMac} and udp src port 67`,
    )
    const neighbour = await device.network.lab.host('neighbour', { wan: { mac: '52:54:00:66:00:02' } })
    await neighbour.run(['udhcpc', '-i', 'wan', '-n', '-q', '-f', '-t', '3', '-T', '1', '-s', '/bin/true'], {
      timeoutMs: 30_000,
    })
    expect(await capture.stop()).toEqual([])
  })

  test('a router, a neighbour and a way of IPv6 that somebody claims to be change nothing', async () => {
    const { provider } = device.network
    for (const [host, mac] of [
      [provider, gatewayMac],
      [machine, lanMac],
    ] as const) {
      const card = host === provider ? 'wan' : 'lan'
      await host.succeed(['ip', '-6', 'addr', 'replace', '2001:db8:1::1/64', 'dev', card, 'nodad'])
      await sendAdvertisement(host, card)
      // The gateway as its way to the other side.
      await host.succeed(['ip', '-6', 'neigh', 'replace', linkLocal(mac), 'lladdr', mac, 'dev', card])
      await host.succeed([
        'ip',
        '-6',
        'route',
        'replace',
        '2001:db8:2::/64',
        'via',
        linkLocal(mac),
        'dev',
        card,
      ])
      await host.fail(['ping', '-6', '-c', '2', '-W', '1', '2001:db8:2::1'])
      await host.fail(['ping', '-6', '-c', '2', '-W', '1', `${linkLocal(mac)}%${card}`])
    }
    expect(await gateway.succeed('ip -6 -o address show scope global; ip -6 route show default')).toBe('')
    const neighbours = await gateway.succeed('ip -6 neigh show dev eth0; ip -6 neigh show dev eth1')
    expect(neighbours).not.toContain('REACHABLE')
  })

  test('the WAN is not told where the LAN is', async () => {
    const { provider } = device.network
    const text =
      'arping=$(ip neigh flush dev wan; ping -c 1 -W 1 172.20.30.1 >/dev/null; ip neigh show dev wan 172.20.30.1); echo "$arping"'
    await provider.succeed(['ip', 'route', 'replace', '172.20.30.0/24', 'dev', 'wan'])
    expect(await provider.succeed(['sh', '-c', text])).not.toContain('lladdr')
    await provider.succeed(['ip', 'route', 'del', '172.20.30.0/24'])
  })

  test('what is for the LAN does not leave on the WAN while its adapter is down', async () => {
    const wan = await device.network.lab.bridge('wan')
    await using capture = await wan.capture(
      join(dir, 'no-adapter.pcap'),
      `ether src ${gatewayMac} and net 172.20.30.0/24`,
    )
    await gateway.succeed('ip link set eth1 down')
    await gateway.fail(`ping -c 2 -W 1 ${machineAddress}`)
    await gateway.succeed('ip link set eth1 up')
    expect(await capture.stop()).toEqual([])
    await gateway.waitUntilSucceeds(`ping -c 1 -W 1 ${machineAddress}`)
  })

  test('no packet of IPv6 comes from the gateway, on either side', async () => {
    const captures = await Promise.all(
      [['wan', gatewayMac] as const, ['lan', lanMac] as const].map(async ([name, mac]) =>
        (await device.network.lab.bridge(name)).capture(
          join(dir, `ipv6-${name}.pcap`),
          `ip6 and ether src ${mac}`,
        ),
      ),
    )
    await gateway.succeed(
      'ip link set eth1 down; ip link set eth1 up; sleep 5; networkctl reconfigure eth0; sleep 10',
    )
    for (const capture of captures) expect(await capture.stop()).toEqual([])
    wanAddress = await wanAddressOf(gateway)
  })

  test("the operator's own network, range, domain and names", async () => {
    await gateway.writeFile(
      lanSettingsPath,
      JSON.stringify({
        gateway_cidr: '10.9.0.1/24',
        dhcp_start: '10.9.0.20',
        dhcp_end: '10.9.0.29',
        domain: 'plant.example',
        hostname_pattern: 'machine-{mac}',
        gateway_aliases: ['gateway'],
      }),
    )
    expect(await reloadNetwork(gateway)).toMatchObject({ exitCode: 0, stderr: '' })
    await gateway.waitUntilSucceeds('ip -4 -o address show dev eth1 | grep -q "inet 10.9.0.1/24"')
    await gateway.waitUntilFails('ip -4 -o address show dev eth1 | grep "172.20.30.1"')
    for (const unit of ['dnsmasq', 'chrony']) await gateway.waitForUnit(`${unit}.service`)
    const [address, ...rest] = await lease()
    expect(address).toMatch(/^10\.9\.0\.2\d$/)
    expect(rest).toEqual(['', '10.9.0.1', '10.9.0.1', 'plant.example'])
    expect(await client.succeed(lookUp('gateway.plant.example'))).toContain('10.9.0.1')
    expect(await client.waitUntilSucceeds(lookUp('machine-52540012abcd.plant.example'))).toContain(address)
    await client.succeed(askTime('10.9.0.1'), { timeoutMs: 60_000 })
  })
})
