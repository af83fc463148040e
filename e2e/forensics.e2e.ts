/** What happened to a device is known in order, whenever the power failed: on the device, and from a copy of its disk. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { bootConcludedMarkerPath, eventLogPath } from '@atomixos/config'
import type { Machine } from '@atomixos/machine'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bootMs } from './gateway.ts'
import { type ProvisionedGateway, provisionedGateway } from './provisioned.ts'
import { seededNumbers } from './seeded.ts'
import { seededPart, setup, storyDir } from './setup.ts'

interface Event {
  readonly seq: number
  readonly bootId: string
  readonly event: string
}

/** Of power cuts after an event was acknowledged, while others are being written. */
const cuts = 10
const longestDelayMs = 6000

describe('forensics', () => {
  let device: ProvisionedGateway
  let gateway: Machine

  beforeAll(async () => {
    device = await provisionedGateway(await storyDir('forensics'))
    gateway = device.gateway
  }, 900_000)
  afterAll(async () => {
    await device?.[Symbol.asyncDispose]()
  })

  const eventsOnDevice = async () =>
    JSON.parse(await gateway.succeed('atomixctl events --json', { timeoutMs: 120_000 })) as Event[]

  /** What this start means has been written down, by its own verification: nobody but this story writes events now. */
  const concluded = () =>
    gateway.waitUntilSucceeds(`test -e ${bootConcludedMarkerPath}`, { timeoutMs: bootMs })

  /** For a verification that draws the conclusions again: it writes an event. */
  const forgetConclusions = `rm -f ${bootConcludedMarkerPath}`

  /** The number of an event that whoever wrote it took for written: the verification has gone on after it. */
  async function acknowledged(): Promise<number> {
    await concluded()
    const before = await lastOnDevice()
    await gateway.succeed(
      `${forgetConclusions}; atomixctl verify >/run/verify.out 2>&1 & echo $! >/run/verify.pid; until grep -q "all checks pass\\|not well" /run/verify.out; do sleep 0.2; done; kill "$(cat /run/verify.pid)" || true`,
      { timeoutMs: 120_000 },
    )
    const last = await lastOnDevice()
    expect(last).toBeGreaterThan(before)
    return last
  }

  const lastOnDevice = async () =>
    (JSON.parse(await gateway.succeed(`tail -n 1 ${eventLogPath}`)) as Event).seq

  function inOrder(events: readonly Event[]): void {
    const numbers = events.map(({ seq }) => seq)
    expect(numbers).toEqual(numbers.map((_, index) => numbers[0]! + index))
  }

  const delays = (() => {
    const next = seededNumbers(2026)
    return Array.from({ length: cuts }, (_, cut) => [cut + 1, Math.round(next() * longestDelayMs)] as const)
  })()

  test.each(seededPart(delays, 1))('power cut %i, after %i ms of writing', async (_, delayMs) => {
    const promised = await acknowledged()
    const before = await eventsOnDevice()
    // Each verification is ended when it has written its event, however long that takes it.
    await gateway.succeed(
      `systemd-run --quiet --expand-environment=no sh -c 'while :; do ${forgetConclusions}; atomixctl verify >/dev/null & until test -e ${bootConcludedMarkerPath}; do sleep 0.1; done; kill $!; wait; done'`,
    )
    await expect
      .poll(lastOnDevice, { timeout: 180_000, interval: 200, message: 'an event is written' })
      .toBeGreaterThan(promised)
    await sleep(delayMs)
    await gateway.crash()
    await gateway.start()
    await concluded()
    const after = await eventsOnDevice()
    inOrder(after)
    expect(after.map(({ seq }) => seq)).toContain(promised)
    // Nothing that was there is another thing now.
    const kept = before.filter(({ seq }) => seq <= promised)
    expect(after.slice(0, kept.length)).toEqual(kept)
  })

  test('a copy of the disk tells the same without the device', async () => {
    const promised = await acknowledged()
    // The power fails a moment after the last event: it is in no checkpoint of the file system yet.
    const seen = await eventsOnDevice()
    await gateway.crash()
    const { stdout } = await promisify(execFile)(
      join(setup.rootDir, 'atomixos'),
      ['events', '--image', gateway.disk.path, '--json'],
      { timeout: 300_000, maxBuffer: 16 << 20 },
    )
    const offline = JSON.parse(stdout) as Event[]
    inOrder(offline)
    expect(offline.at(-1)!.seq).toBeGreaterThanOrEqual(promised)
    expect(offline.slice(0, seen.length)).toEqual(seen)
  })
})
