/** The power is cut at 25 seeded moments of an update: each time a whole system comes up alone, and can be updated. */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Machine } from '@atomixos/machine'
import { beforeAll, describe, expect, test } from 'vitest'
import { bootMs, type DeviceStatus, deviceStatus, waitUntilConfirmed, waitUntilUp } from './gateway.ts'
import { pendingState } from './pending.ts'
import { forkGateway, nextBundlePath, provisionedState } from './provisioned.ts'
import { seededNumbers } from './seeded.ts'
import { manifest, setup, storyDir } from './setup.ts'

const seed = 20260512
const install = `atomixctl update install --no-restart ${nextBundlePath}`
const installMs = 400_000

type Phase = 'install' | 'environment' | 'restart' | 'confirmation'

interface Point {
  readonly phase: Phase
  /** Where in the phase, 0 to 1. */
  readonly at: number
  /** The first of each phase goes on until the new release is confirmed, which takes minutes. */
  readonly toTheEnd: boolean
  readonly name: string
}

function points(): Point[] {
  const next = seededNumbers(seed)
  const counts: Record<Phase, number> = { install: 11, environment: 4, restart: 6, confirmation: 4 }
  return (Object.entries(counts) as [Phase, number][]).flatMap(([phase, count]) =>
    Array.from({ length: count }, (_, index) => {
      const at = (index + next()) / count
      return { phase, at, toTheEnd: index === 0, name: `${phase} at ${Math.round(at * 100)} %` }
    }),
  )
}

describe.concurrent(`rauc-power-loss (seed ${seed})`, () => {
  let dir: string
  let installDurationMs: number
  // The campaign cuts an install at many more places; between the two writes of the environment it starts for real here.
  const told = setup.thorough
    ? points()
    : points()
        .filter(({ phase }) => phase === 'environment')
        .slice(1, 2)

  beforeAll(async () => {
    dir = await storyDir('rauc-power-loss')
    if (told.some(({ phase }) => phase === 'confirmation')) await pendingState()
    if (!told.some(({ phase }) => phase === 'install')) return
    await using device = await forkGateway(await provisionedState(), join(dir, 'undisturbed'))
    const started = Date.now()
    await device.gateway.succeed(install, { timeoutMs: installMs })
    installDurationMs = Date.now() - started
  })

  /** Brings the machine to the moment, and proves that it was not over by then. */
  async function goThere(gateway: Machine, { phase, at }: Point): Promise<void> {
    if (phase === 'install') {
      await gateway.succeed(`${install} >/dev/null 2>&1 &`)
      await sleep(installDurationMs * 0.9 * at)
      return
    }
    if (phase === 'environment') {
      // RAUC has written the slots; order and tries of B change in two writes, and our programs go on.
      await gateway.succeed(`${install} >/dev/null 2>&1 &`)
      await gateway.waitUntilSucceeds('test "$(fw_printenv -n BOOT_B_LEFT)" = 3', { timeoutMs: installMs })
      await sleep(1500 * at)
      return
    }
    if (phase === 'restart') {
      await gateway.succeed(install, { timeoutMs: installMs })
      await gateway.succeed('sync; systemctl reboot --no-block')
      // From the last moments of slot A to the middle of the first start of slot B.
      await sleep(30_000 * at)
      return
    }
    // The 60 s were running when the state was saved; the last of these moments are about the writes at their end.
    await sleep(45_000 + 20_000 * at)
  }

  async function seen(gateway: Machine): Promise<DeviceStatus> {
    await waitUntilUp(gateway)
    // Whatever the start has to conclude is concluded.
    await gateway.waitUntilSucceeds(
      'journalctl -b -u os-verification -o cat | grep -qE "watching for|is confirmed|not confirmed"',
      { timeoutMs: 180_000 },
    )
    const status = await deviceStatus(gateway)
    expect(status.failedUnits).toEqual([])
    expect(status.version).toBe(status.slot === 'A' ? manifest.version : '0.2.0')
    return status
  }

  test.each(told)('$name', { timeout: 1_500_000 }, async (point) => {
    const from = point.phase === 'confirmation' ? await pendingState() : await provisionedState()
    await using device = await forkGateway(from, join(dir, point.name.replaceAll(/\W+/g, '-')))
    const { gateway } = device
    await goThere(gateway, point)
    await gateway.crash()
    await gateway.start()
    const status = await seen(gateway)
    const { A, B } = status.slots
    if (status.slot === 'A') {
      expect(A.state).toBe('confirmed')
      // Half a system is never one that U-Boot would start.
      if (B.state === 'failed') expect([status.bootOrder, B.triesLeft]).toEqual(['A', 0])
      // A cut is nobody's fault: the version may come again, and it does.
      expect(status.failedVersions).toEqual([])
      if (B.state !== 'pending') await gateway.succeed(install, { timeoutMs: installMs })
      expect(await deviceStatus(gateway)).toMatchObject({
        bootOrder: 'B A',
        slots: { B: { state: 'pending' } },
      })
      if (!point.toTheEnd) return
      await gateway.reboot({ timeoutMs: bootMs })
    } else expect(B.state).toMatch(/^(pending|confirmed)$/)
    if (!point.toTheEnd) return
    await waitUntilConfirmed(gateway, 'B')
    expect(await deviceStatus(gateway)).toMatchObject({ slot: 'B', version: '0.2.0', failedVersions: [] })
  })
})
