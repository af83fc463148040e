/** Each health check fails in turn while a new release is watched: it is not confirmed, and the check is named. */
import { join } from 'node:path'
import { requiredContainersPath } from '@atomixos/config'
import type { Machine } from '@atomixos/machine'
import { beforeAll, describe, expect, test } from 'vitest'
import {
  bootMs,
  deviceEvents,
  deviceStatus,
  runningSlot,
  waitUntilConfirmed,
  waitUntilUp,
} from './gateway.ts'
import { pendingState } from './pending.ts'
import { forkGateway, nextBundlePath, provisionedGateway } from './provisioned.ts'
import { seededPart, storyDir, thoroughly } from './setup.ts'

describe.concurrent('rauc-confirm', () => {
  let dir: string

  beforeAll(async () => {
    dir = await storyDir('rauc-confirm')
    await pendingState()
  })

  /** Breaks something in a release that is being watched; what it says on its way down. */
  async function breakWhilePending(
    name: string,
    breakIt: (gateway: Machine) => Promise<unknown>,
  ): Promise<{ reason: string; state: string }> {
    await using device = await forkGateway(await pendingState(), join(dir, name))
    const { gateway } = device
    const from = gateway.console.position
    await breakIt(gateway)
    // The gate acts: it writes down the reason and restarts, which costs a try.
    await gateway.waitForConsoleText(/ab: try slot B/, { from, timeoutMs: 300_000 })
    await waitUntilUp(gateway)
    const events = await deviceEvents(gateway)
    const failed = events.filter(({ event }) => event === 'verification-failed')
    expect(failed).toHaveLength(1)
    expect(events.filter(({ event, slot }) => event === 'confirmed' && slot === 'B')).toEqual([])
    const status = await deviceStatus(gateway)
    expect(status.slots.B.reason).toBe(failed[0]!.reason)
    expect(status.slots.B.triesLeft).toBeLessThan(2)
    return { reason: failed[0]!.reason ?? '', state: status.slots.B.state ?? '' }
  }

  /** What a check says of a stopped service, at whichever point on the way down it looked. */
  const stopped = (check: string, unit: string) => new RegExp(`^${check}: ${unit}\\.service is (?!active\\b)`)

  const cases: [check: string, command: string, reason: RegExp][] = [
    ['dnsmasq', 'systemctl stop dnsmasq', stopped('dnsmasq', 'dnsmasq')],
    [
      'chrony',
      'systemctl kill -s KILL chrony && sleep 1 && systemctl stop chrony',
      stopped('chrony', 'chrony'),
    ],
    [
      'network',
      'systemctl stop systemd-networkd.socket systemd-networkd',
      stopped('network', 'systemd-networkd'),
    ],
    [
      'lan-address',
      'ip address flush dev eth1',
      /^lan-address: eth1 has no address or is not there, not 172\.20\.30\.1\/24/,
    ],
    [
      'firewall',
      "nft 'chain inet atomixos input { policy accept; }'",
      /^firewall: chain input has policy accept, not drop/,
    ],
    ['container', 'systemctl stop app', stopped('container:app', 'app')],
  ]
  // What second 40 tells in every run is the same way down, with one of these checks.
  test.each(seededPart(cases, 0))('%s: not confirmed, and named', async (name, command, expected) => {
    const { reason, state } = await breakWhilePending(name, (gateway) => gateway.succeed(command))
    expect(reason).toMatch(expected)
    expect(state).toBe('pending')
  })

  test('a failure at second 40 is as bad', async () => {
    const { reason } = await breakWhilePending('second-40', async (gateway) => {
      // By the device's own clock: how long it took the story to get here says nothing.
      const watched = await gateway.succeed('journalctl -b -u os-verification -o short-monotonic')
      const began = Number(/^\[ *(\d+)\.\d+\].* watching for /m.exec(watched)![1])
      const up = Number(await gateway.succeed('cut -d. -f1 /proc/uptime'))
      await gateway.succeed(`sleep ${began + 40 - up} && systemctl stop chrony`, { timeoutMs: 120_000 })
    })
    expect(reason).toMatch(stopped('chrony', 'chrony'))
    const second = Number(/failed (\d+) s after everything was well/.exec(reason)?.[1])
    expect(second).toBeGreaterThanOrEqual(38)
    expect(second).toBeLessThanOrEqual(60)
  })

  test.each(thoroughly)(
    'not confirmed when its time is over: given back, by a program that needs no health check',
    async () => {
      await using device = await forkGateway(await pendingState(), join(dir, 'deadline'))
      const { gateway } = device
      expect(await gateway.succeed('systemctl show -P TimersMonotonic slot-deadline.timer')).toContain(
        'OnBootUSec=20min',
      )
      const from = gateway.console.position
      await gateway.succeed('systemctl start --no-block slot-deadline')
      await gateway.waitForConsoleText(/ab: try slot B/, { from, timeoutMs: 300_000 })
      await waitUntilUp(gateway)
      const names = (await deviceEvents(gateway)).map(({ event }) => event)
      expect(names).not.toContain('verification-failed')
      const { B } = (await deviceStatus(gateway)).slots
      expect(B.state).toBe('pending')
      expect(B.triesLeft).toBeLessThan(2)
    },
  )

  test('WAN down alone: confirmed, with a warning', async () => {
    await using device = await forkGateway(await pendingState(), join(dir, 'wan-down'))
    const { gateway } = device
    await gateway.succeed('ip link set eth0 down; ip address flush dev eth0')
    await waitUntilConfirmed(gateway, 'B')
    const confirmed = (await deviceEvents(gateway)).filter(
      ({ event, slot }) => event === 'confirmed' && slot === 'B',
    )
    expect(confirmed).toEqual([
      expect.objectContaining({ detail: 'with warnings: wan-address: eth0 has no address' }),
    ])
  })

  test('what failed before the update as well: confirmed, with a warning', {
    timeout: 1_200_000,
  }, async () => {
    await using device = await provisionedGateway(join(dir, 'before'))
    const { gateway } = device
    await gateway.writeFile(requiredContainersPath, '["ghost"]\n')
    await gateway.succeed(`atomixctl update install --no-restart ${nextBundlePath}; sync`, {
      timeoutMs: 400_000,
    })
    await gateway.reboot({ timeoutMs: bootMs })
    await waitUntilConfirmed(gateway, 'B')
    expect(await runningSlot(gateway)).toBe('B')
    const events = await deviceEvents(gateway)
    // RAUC's handler looked from within RAUC's sandbox, and saw all there was.
    expect(events.find(({ event }) => event === 'install-started')?.detail).toBe(
      'not well before: container:ghost: ghost.service is not-found',
    )
    const confirmed = events.filter(({ event, slot }) => event === 'confirmed' && slot === 'B')
    expect(confirmed[0]?.detail).toBe(
      'with warnings: container:ghost: ghost.service is not-found (it failed before the update as well)',
    )
  })
})
