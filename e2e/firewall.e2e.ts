/** Every port from both sides: by default, with an operator's lists, with lists that mean no good, over a power cut. */
import { basename, join } from 'node:path'
import { firewallInboundPath, hostNetworkPath, lanSettingsPath } from '@atomixos/config'
import type { LabHost, Machine } from '@atomixos/machine'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bootMs, waitUntilUp } from './gateway.ts'
import { gatewayMac, lanMac, providerAddress } from './gateway-network.ts'
import {
  lanAddress,
  lanMachine,
  listen,
  machineAddress,
  reloadNetwork,
  wanAddressOf,
  withPorts,
} from './operator-network.ts'
import { linkLocal, scanTcp, scanTcp6, scanUdp } from './port-scan.ts'
import { type ProvisionedGateway, provisionedGateway } from './provisioned.ts'
import { seededPart, storyDir, thoroughly } from './setup.ts'

/** Where something listens beside what the gateway itself has: SSH, names, the API. */
const listening = [80, 443, 5000]

describe('firewall', () => {
  let device: ProvisionedGateway
  let gateway: Machine
  let machine: LabHost
  let wanAddress: string

  beforeAll(async () => {
    device = await provisionedGateway(join(await storyDir('firewall'), 'device'))
    gateway = device.gateway
    machine = await lanMachine(device.network)
    wanAddress = await wanAddressOf(gateway)
    await listen(gateway, listening)
  })
  afterAll(async () => {
    await device?.[Symbol.asyncDispose]()
  })

  const fromWan = () => scanTcp(device.network.provider, { address: wanAddress, from: providerAddress })
  const fromLan = (ports?: string) =>
    scanTcp(machine, { address: lanAddress, from: machineAddress, ...(ports !== undefined && { ports }) })
  /** New connections are limited: not all ports of an open LAN can be asked in a test's time. */
  const some = '20-120,440-450,4995-5005,8075-8085'

  test('nothing was applied, and no program was started for it: the built-in rules hold', async () => {
    const properties = await gateway.succeed('systemctl show -p ActiveState -p ConditionResult activation')
    expect(properties.trim().split('\n').sort()).toEqual(['ActiveState=inactive', 'ConditionResult=no'])
    await gateway.fail('test -e /run/atomixos/network/nftables.conf')
  })

  test('all 65,535 TCP ports say nothing to the WAN', async () => {
    expect(await fromWan()).toEqual({ open: [], refused: [] })
  })

  test('nor do the UDP ports, and nobody is told that they are closed', async () => {
    const { provider } = device.network
    expect(await scanUdp(provider, { address: wanAddress, from: providerAddress })).toEqual({
      open: [],
      refused: 0,
    })
    await provider.fail(['ping', '-c', '2', '-W', '1', wanAddress])
  })

  test('over IPv6 no port says anything, to either side, and nobody answers for the gateway', async () => {
    const { provider, lab } = device.network
    // The scan sees what is open: on a neighbour that has a port.
    const neighbourMac = '52:54:00:66:00:01'
    const neighbour = await lab.host('neighbour', { wan: { mac: neighbourMac } })
    await using open = await neighbour.spawn(['socat', '-d', '-d', 'TCP6-LISTEN:443,fork', 'SYSTEM:true'])
    await open.waitForOutput(/listening on/)
    await neighbour.waitUntilSucceeds([
      'sh',
      '-c',
      'ip -6 -o address show dev wan | grep -v tentative | grep fe80',
    ])
    const onNeighbour = await scanTcp6(provider, { mac: neighbourMac, card: 'wan', ports: '440-450' })
    expect(onNeighbour.open).toEqual([443])

    const nothing = { open: [], refused: [] }
    expect(await scanTcp6(provider, { mac: gatewayMac, card: 'wan' })).toEqual(nothing)
    expect(await scanTcp6(machine, { mac: lanMac, card: 'lan', ports: some })).toEqual(nothing)
    const pingAll = (card: string) => ['ping', '-6', '-c', '2', '-W', '1', `ff02::1%${card}`]
    expect(await provider.run(pingAll('wan'))).not.toMatchObject({
      stdout: expect.stringContaining(linkLocal(gatewayMac)),
    })
    expect(await machine.run(pingAll('lan'))).not.toMatchObject({
      stdout: expect.stringContaining(linkLocal(lanMac)),
    })
  })

  test('the LAN reaches what listens', async () => {
    expect((await fromLan(some)).open).toEqual([22, 53, 80, 443, 5000, 8080])
    await machine.succeed(['ping', '-c', '1', '-W', '5', lanAddress])
  })

  test("the operator's lists, exactly", async () => {
    const result = await withPorts(
      gateway,
      JSON.stringify({ wan: { tcp: [443, 22], udp: [] }, lan: { tcp: [443] } }),
    )
    expect(result).toMatchObject({ exitCode: 0 })
    expect(result.stderr).toContain('port 22 stays closed')
    expect(await fromWan()).toEqual({ open: [443], refused: [] })
    expect(await fromLan()).toEqual({ open: [22, 53, 443, 8080], refused: [] })
  })

  test.each(
    seededPart(
      [
        ['the reserved port', '{"wan":{"tcp":[443,8080]}}'],
        ['a rule in place of a port', '{"wan":{"tcp":["443 } ; chain x { accept"]}}'],
        ['a file cut short', '{"wan":{"tcp":[80'],
        ['an unknown key', '{"wan":{"tcp":[80]},"policy":"accept"}'],
      ],
      2,
    ),
  )('%s: all is closed but the platform’s own, and it is said', async (_, text) => {
    const { exitCode, stderr } = await withPorts(gateway, text)
    expect(exitCode).toBe(1)
    expect(stderr).toContain('firewall-inbound.json')
    const wan = await scanTcp(device.network.provider, {
      address: wanAddress,
      from: providerAddress,
      ports: some,
    })
    expect(wan).toEqual({ open: [], refused: [] })
    expect(await fromLan(some)).toEqual({ open: [22, 53, 8080], refused: [] })
  })

  test('without the file the defaults are back', async () => {
    await gateway.succeed(`rm ${firewallInboundPath}`)
    expect(await reloadNetwork(gateway)).toMatchObject({ exitCode: 0, stderr: '' })
    expect((await fromLan(some)).open).toEqual([22, 53, 80, 443, 5000, 8080])
  })

  test('a reload in the middle of a download does not end it', async () => {
    await withPorts(gateway, '{"wan":{"tcp":[80]}}')
    await gateway.succeed(
      `systemd-run --unit=slow --collect /usr/lib/atomixos/node -e 'require("net").createServer((s) => { let n = 0; setInterval(() => s.write(++n + "\\n"), 500) }).listen(4000, "0.0.0.0")'`,
    )
    await gateway.waitUntilSucceeds("ss -Hltn 'sport = :4000' | grep -q .")
    await withPorts(gateway, '{"wan":{"tcp":[4000]}}')
    await using client = await device.network.provider.spawn(['socat', '-u', `TCP4:${wanAddress}:4000`, '-'])
    await client.waitForOutput(/^1$/m, { timeoutMs: 60_000 })
    await withPorts(gateway, '{"wan":{"tcp":[80,4000]}}')
    await client.waitForOutput(/^60$/m, { timeoutMs: 120_000 })
  })

  test('after a power cut in the middle of a reload the file holds, whole, from the start on', async () => {
    await gateway.writeFile(firewallInboundPath, '{"wan":{"tcp":[443]},"lan":{"tcp":[443]}}')
    await gateway.succeed('sync')
    await gateway.succeed('atomixctl network reload >/dev/null 2>&1 & sleep 0.3')
    await gateway.crash()
    await gateway.start()
    await waitUntilUp(gateway)
    expect(await gateway.succeed('systemctl is-active activation')).toBe('active\n')
    expect(await gateway.failedUnits()).toEqual([])
    wanAddress = await wanAddressOf(gateway)
    await listen(gateway, listening)
    const ports = { ports: some }
    expect(
      await scanTcp(device.network.provider, { address: wanAddress, from: providerAddress, ...ports }),
    ).toEqual({ open: [443], refused: [] })
    expect(await fromLan(some)).toEqual({ open: [22, 53, 443, 8080], refused: [] })
  })

  test('the rules were there before the network, the activation before it too', async () => {
    const when = async (unit: string) =>
      Number(await gateway.succeed(`systemctl show -P ActiveEnterTimestampMonotonic ${unit}`))
    expect(await when('nftables')).toBeLessThan(await when('activation'))
    expect(await when('activation')).toBeLessThan(await when('systemd-networkd'))
  })

  test.each(thoroughly)(
    'settings that mean no good, at a start: the safe ones hold, and it is said why',
    async () => {
      await gateway.writeFile(firewallInboundPath, '{"wan":{"tcp":["1-65535"]},"lan":{"tcp":[443]}}')
      await gateway.writeFile(lanSettingsPath, '{"gateway_cidr":"0.0.0.0/0","domain":"x\\nserver=192.0.2.1"}')
      await gateway.writeFile(hostNetworkPath, '{"interfaces":{"eth1":{"mode":"dhcp"}},"ntp":null}')
      await gateway.succeed('sync')
      await gateway.reboot({ timeoutMs: bootMs })
      await waitUntilUp(gateway)
      const said = await gateway.succeed('journalctl --no-pager -b -o cat -u activation')
      for (const path of [firewallInboundPath, lanSettingsPath, hostNetworkPath])
        expect(said).toContain(`${basename(path)}: `)
      expect(await gateway.failedUnits()).toEqual(['activation.service'])
      // The start does not wait for addresses.
      await gateway.waitUntilSucceeds(`ip -4 -o address show dev eth1 | grep -qF ' ${lanAddress}/24 '`)
      wanAddress = await wanAddressOf(gateway)
      await listen(gateway, listening)
      const ports = { ports: some }
      expect(
        await scanTcp(device.network.provider, { address: wanAddress, from: providerAddress, ...ports }),
      ).toEqual({ open: [], refused: [] })
      expect(await fromLan(some)).toEqual({ open: [22, 53, 8080], refused: [] })
    },
  )

  test('stopping the firewall does not open it', async () => {
    await gateway.succeed('systemctl stop nftables')
    expect(await gateway.succeed('nft list chain inet atomixos input')).toContain('policy drop')
  })
})
