/** The first process of a new release freezes: the hardware watchdog resets the machine, and U-Boot falls back. */
import type { Machine } from '@atomixos/machine'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bootMs, deviceEvents, deviceStatus, runningSlot, triesSince, waitUntilUp } from './gateway.ts'
import { nextBundlePath, type ProvisionedGateway, provisionedGateway } from './provisioned.ts'
import { manifest, setup, storyDir } from './setup.ts'

/** What the option asks of the hardware. */
const watchdogMs = 30_000

describe('rauc-watchdog', () => {
  let device: ProvisionedGateway
  let gateway: Machine

  beforeAll(async () => {
    device = await provisionedGateway(await storyDir('rauc-watchdog'))
    gateway = device.gateway
  })
  afterAll(async () => {
    await device?.[Symbol.asyncDispose]()
  })

  /** The kernel's freezer on the first process: no signal could do that. */
  const freezeFirstProcess = () => gateway.execute('echo 1 >/sys/fs/cgroup/init.scope/cgroup.freeze')

  test('it is off unless somebody has switched it on', async () => {
    expect(await gateway.succeed('systemctl show -p RuntimeWatchdogUSec -p RebootWatchdogUSec')).toBe(
      'RuntimeWatchdogUSec=0\nRebootWatchdogUSec=0\n',
    )
    expect(await gateway.succeed('cat /sys/class/watchdog/watchdog0/state')).toBe('inactive\n')
  })

  test('switched on, it is armed from the initrd on, with ten minutes for a restart', async () => {
    await gateway.succeed('atomixctl watchdog on')
    await gateway.succeed(`atomixctl update install --no-restart ${nextBundlePath}`, { timeoutMs: 400_000 })
    await gateway.reboot({ timeoutMs: bootMs })
    await waitUntilUp(gateway)
    expect(await runningSlot(gateway)).toBe('B')
    expect(await gateway.succeed('systemctl show -p RuntimeWatchdogUSec -p RebootWatchdogUSec')).toBe(
      'RuntimeWatchdogUSec=30s\nRebootWatchdogUSec=10min\n',
    )
    expect(await gateway.succeed('cd /sys/class/watchdog/watchdog0; cat identity state timeout')).toBe(
      'i6300ESB timer\nactive\n30\n',
    )
    // Once by the initrd's first process, and once more when the system was entered.
    const running = /systemd\[1\]: Watchdog running with a hardware timeout of 30s/g
    expect((await gateway.succeed('dmesg')).match(running)).toHaveLength(2)
  })

  /** Of the three tries of B; a run that tells a part begins with the last one, as if the others had been spent. */
  const attempts = setup.thorough ? [1, 2, 3] : [3]

  test('each frozen start of B costs a try, and then A is back', { timeout: 1_500_000 }, async () => {
    if (attempts[0] === 3) await gateway.succeed('fw_setenv BOOT_B_LEFT 0')
    const from = gateway.console.position
    for (const attempt of attempts) {
      if (attempt !== attempts[0]) {
        await waitUntilUp(gateway)
        expect(await runningSlot(gateway)).toBe('B')
      }
      const before = gateway.console.position
      const since = Date.now()
      await freezeFirstProcess()
      await gateway.waitForConsoleText(/ab: try slot/, { from: before, timeoutMs: watchdogMs * 10 })
      expect(Date.now() - since).toBeGreaterThan(5_000)
    }
    await waitUntilUp(gateway)
    expect(await runningSlot(gateway)).toBe('A')
    expect(triesSince(gateway, from)).toEqual([...attempts.slice(1).map(() => 'B'), 'A'])
    await gateway.waitUntilSucceeds('fw_printenv -n SLOT_B_STATE | grep -qx failed', { timeoutMs: 120_000 })
    const status = await deviceStatus(gateway)
    expect(status).toMatchObject({ slot: 'A', version: manifest.version })
    expect(status.slots.A).toMatchObject({ state: 'confirmed' })
    const names = (await deviceEvents(gateway)).map(({ event }) => event)
    expect(names).toContain('rolled-back')
    expect(names).toContain('watchdog')
  })
})
