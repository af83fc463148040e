/** Four slots, one pair of them booted, and states that are true: on the first boot and on the second. */
import { bootTries } from '@atomixos/config'
import { createMachine, type Machine } from '@atomixos/machine'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  deviceEvents,
  deviceStatus,
  provision,
  runningSlot,
  triesSince,
  waitUntilConfirmed,
  waitUntilUp,
  waitUntilVerified,
} from './gateway.ts'
import { createGatewayNetwork, type GatewayNetwork } from './gateway-network.ts'
import { gatewayOptions, manifest, storyDir } from './setup.ts'

interface RaucStatus {
  readonly compatible: string
  readonly booted: string
  readonly boot_primary: string
  readonly slots: readonly Readonly<
    Record<string, { class: string; device: string; state: string; boot_status?: string; bootname?: string }>
  >[]
}

describe('rauc-slots', () => {
  let network: GatewayNetwork
  let gateway: Machine

  beforeAll(async () => {
    const dir = await storyDir('rauc-slots')
    network = await createGatewayNetwork(dir)
    gateway = await createMachine(gatewayOptions(dir, { lab: network.lab, nics: network.nics }))
    await gateway.start()
    await waitUntilUp(gateway)
    await waitUntilVerified(gateway)
  })
  afterAll(async () => {
    await gateway?.[Symbol.asyncDispose]()
    await network?.[Symbol.asyncDispose]()
  })

  async function raucSlots(): Promise<{ status: RaucStatus; rows: string[] }> {
    const status = JSON.parse(await gateway.succeed('rauc status --output-format=json')) as RaucStatus
    const rows = status.slots.flatMap((entry) =>
      Object.entries(entry).map(([name, slot]) =>
        [name, slot.device, slot.state, slot.boot_status ?? '-'].join(' '),
      ),
    )
    return { status, rows: rows.sort() }
  }

  const bootedPair = [
    'boot.0 /dev/atomixos/boot-a booted good',
    'boot.1 /dev/atomixos/boot-b inactive bad',
    'rootfs.0 /dev/atomixos/rootfs-a active -',
    'rootfs.1 /dev/atomixos/rootfs-b inactive -',
  ]

  test('first boot: slot A is booted, slot B is empty and would not be started', async () => {
    const { status, rows } = await raucSlots()
    expect(rows).toEqual(bootedPair)
    expect(status).toMatchObject({ compatible: 'atomixos-rock64', booted: 'A', boot_primary: 'boot.0' })
  })

  test('first boot: nothing is confirmed, since nothing was provisioned', async () => {
    const status = await deviceStatus(gateway)
    expect(status).toMatchObject({ freshFlash: true, slot: 'A', bootOrder: 'A' })
    expect(status.slots.A).toEqual({ triesLeft: bootTries.pending, version: manifest.version })
    expect(status.slots.B).toEqual({ triesLeft: 0 })
  })

  test('second boot, still not provisioned: the tries are restored, and it is not confirmed', async () => {
    await gateway.reboot({ timeoutMs: 400_000 })
    await waitUntilUp(gateway)
    await waitUntilVerified(gateway)
    expect((await deviceStatus(gateway)).slots.A).toEqual({
      triesLeft: bootTries.pending,
      version: manifest.version,
    })
    expect((await raucSlots()).rows).toEqual(bootedPair)
    expect(await gateway.failedUnits()).toEqual([])
  })

  test('provisioned and restarted: watched for 60 s, then confirmed', async () => {
    await provision(gateway)
    await gateway.reboot({ timeoutMs: 400_000 })
    await waitUntilConfirmed(gateway, 'A')
    const status = await deviceStatus(gateway)
    expect(status.slots.A).toMatchObject({ state: 'confirmed', triesLeft: bootTries.confirmed })
    expect((await raucSlots()).rows).toEqual(bootedPair)
    const watched = await gateway.succeed('journalctl -b -u os-verification -o cat')
    expect(watched).toContain('watching for 60 s')
    expect(await deviceEvents(gateway)).toContainEqual(
      expect.objectContaining({ event: 'confirmed', slot: 'A', version: manifest.version }),
    )
  })

  test('three quick power cycles do not change a confirmed slot, nor what is remembered of it', async () => {
    const from = gateway.console.position
    await gateway.crash()
    for (const cycle of [1, 2, 3]) {
      await gateway.start()
      await gateway.waitForConsoleText(/Starting kernel/)
      await gateway.crash()
      expect(triesSince(gateway, from)).toHaveLength(cycle)
    }
    await gateway.start()
    await waitUntilUp(gateway)
    expect(await runningSlot(gateway)).toBe('A')
    await gateway.waitUntilSucceeds(`test "$(fw_printenv -n BOOT_A_LEFT)" = ${bootTries.confirmed}`, {
      timeoutMs: 120_000,
    })
    expect(triesSince(gateway, from)).toEqual(['A', 'A', 'A', 'A'])
    expect((await deviceStatus(gateway)).slots.A).toMatchObject({ state: 'confirmed' })
  })
})
