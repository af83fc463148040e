/** A device finds the next release on its server, installs it, restarts, and confirms it after a minute of good health. */
import { readFile } from 'node:fs/promises'
import {
  bootTries,
  channelPath,
  defaultChannelName,
  serverAuthoritiesPath,
  updateApi,
} from '@atomixos/config'
import type { Machine } from '@atomixos/machine'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  bootMs,
  deviceEvents,
  deviceStatus,
  holdUpdateTimer,
  runningSlot,
  slotABytes,
  triesSince,
  waitUntilConfirmed,
  waitUntilUp,
} from './gateway.ts'
import { gatewayMac } from './gateway-network.ts'
import { type ProvisionedGateway, provisionedGateway } from './provisioned.ts'
import { bundlePath, manifest, seededPart, storyDir } from './setup.ts'
import { createUpdateServer, serveBundle, type UpdateServer } from './update-server.ts'

describe('rauc-update', () => {
  let device: ProvisionedGateway
  let server: UpdateServer
  let gateway: Machine
  let kept: string
  let slotA: string
  let started: number

  beforeAll(async () => {
    const dir = await storyDir('rauc-update')
    device = await provisionedGateway(dir)
    gateway = device.gateway
    server = await createUpdateServer(device.network)
    await gateway.writeFile(serverAuthoritiesPath, server.authority)
    await gateway.writeFile('/data/mine', 'kept\n')
    kept = await keptThings()
    slotA = await slotABytes(gateway)
  })
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]()
    await device?.[Symbol.asyncDispose]()
  })

  /** What an update must not change. */
  const keptThings = () => gateway.succeed('cat /data/mine /etc/machine-id /data/ssh/*.pub')

  test('the timer asks five minutes after the start at the earliest, and every hour', async () => {
    const timer = await gateway.succeed(
      'systemctl show os-upgrade.timer -p TimersMonotonic -p RandomizedDelayUSec',
    )
    expect(timer).toContain('OnBootUSec=5min')
    expect(timer).toContain('OnUnitInactiveUSec=1h')
    expect(timer).toContain('RandomizedDelayUSec=10min')
    expect((await gateway.succeed('systemctl is-active os-upgrade.timer')).trim()).toBe('active')
    await holdUpdateTimer(gateway)
  })

  test('what is not newer is not installed', async () => {
    server.answer = serveBundle(manifest.version, Buffer.from('never asked for'))
    await gateway.succeed('systemctl start os-upgrade', { timeoutMs: 120_000 })
    // It has no channel, so it is asked as servers without one are.
    const said = await gateway.succeed('journalctl -b -u os-upgrade -o cat')
    expect(
      server.requests.map(({ line }) => line),
      said,
    ).toEqual([`GET /${channelPath(manifest.board, defaultChannelName)}`, `GET ${updateApi.latestPath}`])
    expect(server.requests[1]!.headers).toMatchObject({
      'x-device-id': gatewayMac.replaceAll(':', ''),
      'x-current-version': manifest.version,
    })
  })

  test('the next release is fetched over HTTPS and installed into B, and the device restarts by itself', async () => {
    server.answer = serveBundle('0.2.0', await readFile(bundlePath('next')))
    started = gateway.console.position
    const since = await gateway.bootId()
    await gateway.succeed('systemctl start --no-block os-upgrade')
    await gateway.waitForReboot({ since, timeoutMs: bootMs + 300_000 })
    await waitUntilUp(gateway)
    expect(await runningSlot(gateway)).toBe('B')
  })

  test('while it is not confirmed the server is not asked', async () => {
    const before = server.requests.length
    // First of all: its 60 s are running, and a slow machine needs some of them to answer a question.
    await gateway.succeed('systemctl start os-upgrade', { timeoutMs: 120_000 })
    expect(server.requests).toHaveLength(before)
    const { slots, update } = await deviceStatus(gateway)
    expect(update.lastLook?.reason).toContain('the running slot is not confirmed yet')
    expect(slots.B).toMatchObject({ state: 'pending', version: '0.2.0' })
  })

  test('it is confirmed after 60 s, and its tries stand in the environment of U-Boot', async () => {
    await waitUntilConfirmed(gateway, 'B')
    const uptime = Number((await gateway.succeed('cut -d. -f1 /proc/uptime')).trim())
    expect(uptime).toBeGreaterThanOrEqual(60)
    const status = await deviceStatus(gateway)
    expect(status).toMatchObject({ slot: 'B', version: '0.2.0', bootOrder: 'B A', failedVersions: [] })
    expect(status.slots.A).toMatchObject({ state: 'previous', triesLeft: bootTries.confirmed })
    expect(status.slots.B).toMatchObject({ state: 'confirmed', triesLeft: bootTries.confirmed })
    expect(await gateway.succeed('fw_printenv -n BOOT_B_LEFT')).toBe(`${bootTries.confirmed}\n`)
    expect(await gateway.failedUnits()).toEqual([])
  })

  test('what happened can be read in order', async () => {
    const recorded = await deviceEvents(gateway)
    const events = recorded.map(({ event, slot, version }) => `${event} ${slot} ${version}`)
    const wanted = ['install-started B 0.2.0', 'installed B 0.2.0', 'boot B 0.2.0', 'confirmed B 0.2.0']
    expect(events.filter((event) => wanted.includes(event))).toEqual(wanted)
    // RAUC's handler found nothing wrong with the system, from within RAUC's sandbox.
    expect(recorded.find(({ event }) => event === 'install-started')?.detail).toBeUndefined()
  })

  test('/data, host keys and machine id are the same, and so is every byte of slot A', async () => {
    expect(await keptThings()).toBe(kept)
    expect(await slotABytes(gateway)).toBe(slotA)
  })

  const restarts = seededPart([1, 2, 3, 4, 5], 1)
  test(`${restarts.length} more restarts stay on B`, async () => {
    for (const _ of restarts) {
      await gateway.reboot({ timeoutMs: bootMs })
      await waitUntilUp(gateway)
      expect(await runningSlot(gateway)).toBe('B')
      await gateway.waitUntilSucceeds(`test "$(fw_printenv -n BOOT_B_LEFT)" = ${bootTries.confirmed}`, {
        timeoutMs: 120_000,
      })
    }
    expect(triesSince(gateway, started)).toEqual(['B', ...restarts.map(() => 'B')])
    expect(await keptThings()).toBe(kept)
  })
})
