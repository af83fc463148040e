/** Which adapter is called what: the onboard one is the WAN, those on USB follow, in whatever order they appear. */
import { createMachine, type Machine } from '@atomixos/machine'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bootMs, waitUntilUp } from './gateway.ts'
import { gatewayOptions, storyDir } from './setup.ts'

/** Hardware addresses by the port of the USB controller that the adapter is plugged into. */
const adapters = { 1: '52:54:00:05:00:01', 2: '52:54:00:05:00:02' } as const
type Port = keyof typeof adapters
const onboard = '52:54:00:a7:00:00'

describe('naming', () => {
  let gateway: Machine

  beforeAll(async () => {
    gateway = await createMachine(
      gatewayOptions(await storyDir('naming'), {
        nics: [{ kind: 'user', mac: onboard }],
        extraArguments: [
          ...['-device', 'qemu-xhci,id=usb,bus=pcie.0,addr=0x1e'],
          ...['-netdev', 'hubport,id=hub1,hubid=1', '-netdev', 'hubport,id=hub2,hubid=2'],
        ],
      }),
    )
    await gateway.start()
    await waitUntilUp(gateway)
  })
  afterAll(async () => {
    await gateway?.[Symbol.asyncDispose]()
  })

  const plug = (port: Port) =>
    gateway.qmp!.execute('device_add', {
      driver: 'usb-net',
      id: `adapter${port}`,
      bus: 'usb.0',
      port: String(port),
      netdev: `hub${port}`,
      mac: adapters[port],
    })

  async function unplug(port: Port): Promise<void> {
    await gateway.qmp!.execute('device_del', { id: `adapter${port}` })
    await gateway.waitUntilSucceeds(`! ip -o link | grep -q ${adapters[port]}`)
  }

  /** Name of the interface with that hardware address, when udev has had its say: it is there before it has its name. */
  async function nameOf(mac: string): Promise<string> {
    const shown = `ip -o link | grep ${mac}`
    const line = await gateway.waitUntilSucceeds(`${shown} >/dev/null && udevadm settle && ${shown}`)
    return /^\d+: ([^:@]+)/.exec(line)![1]!
  }

  test('alone, the onboard adapter is eth0, and there is no LAN', async () => {
    expect(await nameOf(onboard)).toBe('eth0')
    await gateway.fail('test -e /sys/class/net/eth1')
    expect(await gateway.failedUnits()).toEqual([])
  })

  test('the first USB adapter is eth1 with the address of the LAN, whatever its port; the second is eth2', async () => {
    await plug(2)
    expect(await nameOf(adapters[2])).toBe('eth1')
    await gateway.waitUntilSucceeds('ip -4 -o address show dev eth1 | grep -q "inet 172.20.30.1/24"')
    await gateway.waitForUnit('dnsmasq.service')
    await plug(1)
    expect(await nameOf(adapters[1])).toBe('eth2')
    expect(await gateway.succeed('ip -4 -o address show dev eth2')).toBe('')
    expect(await nameOf(onboard)).toBe('eth0')
  })

  test('out and in again in the other order, each has its name back', async () => {
    await unplug(1)
    await unplug(2)
    expect(await gateway.failedUnits()).toEqual([])
    await plug(1)
    expect(await nameOf(adapters[1])).toBe('eth2')
    await plug(2)
    expect(await nameOf(adapters[2])).toBe('eth1')
    await gateway.waitUntilSucceeds('ip -4 -o address show dev eth1 | grep -q "inet 172.20.30.1/24"')
  })

  test('at a start with both, the onboard adapter is still eth0, and the USB adapters are eth1 and eth2', async () => {
    await gateway.succeed('sync')
    await gateway.reboot({ timeoutMs: bootMs })
    await waitUntilUp(gateway)
    expect(await nameOf(onboard)).toBe('eth0')
    const names = [await nameOf(adapters[1]), await nameOf(adapters[2])]
    expect(names.toSorted()).toEqual(['eth1', 'eth2'])
    expect(await gateway.failedUnits()).toEqual([])
  })
})
