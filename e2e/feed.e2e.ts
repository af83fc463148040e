/**
 * A device follows a signed feed: it waits while it is halted or not its turn, takes its release by a delta, falls back to
 * the full bundle where the delta is of no use, and refuses a replay.
 */
import { readFile, stat } from 'node:fs/promises'
import {
  bundleDownloadPath,
  channelPath,
  channelRecordsPath,
  defaultChannelName,
  serverAuthoritiesPath,
  updateApi,
  updateFolder,
} from '@atomixos/config'
import type { Machine } from '@atomixos/machine'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ChannelName, channelFixtures, feedBundlePath, feedDeltaPath } from './bundle-fixtures.ts'
import {
  bootMs,
  type DeviceStatus,
  deviceEvents,
  deviceStatus,
  holdUpdateTimer,
  runningSlot,
  waitUntilConfirmed,
  waitUntilUp,
} from './gateway.ts'
import { type ProvisionedGateway, provisionedGateway } from './provisioned.ts'
import { bundlePath, manifest, storyDir } from './setup.ts'
import { type Answer, createUpdateServer, type UpdateServer } from './update-server.ts'

const channelUrl = `/${channelPath(manifest.board, defaultChannelName)}`
const pollMs = 300_000

describe('feed', () => {
  let device: ProvisionedGateway
  let server: UpdateServer
  let gateway: Machine
  /** Of bundles and deltas, that the server has sent. */
  let sentBytes = 0

  beforeAll(async () => {
    device = await provisionedGateway(await storyDir('feed'))
    gateway = device.gateway
    // Requests are counted.
    await holdUpdateTimer(gateway)
    server = await createUpdateServer(device.network)
    await gateway.writeFile(serverAuthoritiesPath, server.authority)
  })
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]()
    await device?.[Symbol.asyncDispose]()
  })

  /** Files, as any web server hands them out; with an unsigned answer beside them that a device must not fall for. */
  async function feed(
    name: ChannelName | undefined,
    options: { readonly withoutBundle?: boolean } = {},
  ): Promise<Answer> {
    const channel = name === undefined ? undefined : await readFile(bundlePath(name))
    const delta = name === undefined ? undefined : channelFixtures[name].delta
    const latest = JSON.stringify({ version: '0.2.0', bundle_url: `/${feedBundlePath}` })
    const files = new Map<string | undefined, Buffer>()
    if (!options.withoutBundle) files.set(`/${feedBundlePath}`, await readFile(bundlePath('next')))
    if (delta !== undefined) files.set(`/${feedDeltaPath}`, await readFile(bundlePath(delta)))
    return (request, response) => {
      const file = files.get(request.url)
      if (request.url === channelUrl && channel) response.end(channel)
      else if (file !== undefined) {
        sentBytes += file.length
        response.setHeader('content-length', file.length).end(file)
      } else if (request.url === updateApi.latestPath) response.end(latest)
      else response.writeHead(404).end()
    }
  }

  /** What the timer does, with this channel; what is known of it then. */
  async function poll(
    name: ChannelName | undefined,
  ): Promise<NonNullable<DeviceStatus['update']['lastLook']>> {
    server.answer = await feed(name)
    const before = server.requests.length
    await gateway.succeed('systemctl start os-upgrade', { timeoutMs: pollMs })
    // Nothing but the channel was asked for.
    expect(server.requests.slice(before).map(({ line }) => line)).toEqual([`GET ${channelUrl}`])
    expect(await gateway.fail(`test -e ${bundleDownloadPath}`)).toBe('')
    expect(await runningSlot(gateway)).toBe('A')
    return (await deviceStatus(gateway)).update.lastLook!
  }

  const sequences = async () => (await deviceStatus(gateway)).update.channels.map(({ sequence }) => sequence)

  test('a device begins without labels, and has followed no channel', async () => {
    expect((await deviceStatus(gateway)).update).toMatchObject({ labels: [], channels: [] })
  })

  test('a halted channel is followed, and nothing is taken; the reason is in the status', async () => {
    const halted = channelFixtures['channel-7-halted'].halted!
    expect(await poll('channel-7-halted')).toMatchObject({
      ...{ action: 'none', version: '0.2.0', channel: { name: 'stable', sequence: 7, percent: 100 } },
      reason: expect.stringContaining(halted),
    })
    expect(await gateway.succeed('atomixctl status')).toContain(halted)
    expect(await sequences()).toEqual([7])
  })

  test.each<[string, ChannelName | undefined, RegExp]>([
    ['the file from before the halt, again', 'channel-6', /its number is 6, and number 7 was here before/],
    ['no channel any more', undefined, /no channel "stable" \(404\), and it had a channel before/],
    [
      'a file that has expired',
      'channel-11-expired',
      /the channel file is refused: it expired at 2020-01-02/,
    ],
    [
      'a file of a revoked signer',
      'channel-12-revoked',
      /the channel file is refused: .*certificate revoked/,
    ],
  ])('%s is refused with its reason', async (_, name, reason) => {
    expect(await poll(name)).toMatchObject({ action: 'failed', reason: expect.stringMatching(reason) })
    expect(await sequences()).toEqual([7])
    expect(await gateway.failedUnits()).toEqual([])
  })

  test('at 0 % it is the turn of canaries only', async () => {
    expect(await poll('channel-8-nobody')).toMatchObject({
      action: 'none',
      reason: expect.stringMatching(/^the roll-out of version 0\.2\.0 is at 0 %, this device's place is \d/),
    })
    await gateway.succeed('atomixctl update label add lab')
    expect((await deviceStatus(gateway)).update.labels).toEqual(['lab'])
    expect(await gateway.succeed('atomixctl update check', { timeoutMs: pollMs })).toContain(
      'is a canary (lab)',
    )
    await gateway.succeed('atomixctl update label remove lab')
    expect((await deviceStatus(gateway)).update.labels).toEqual([])
  })

  test('a channel file cannot be installed', async () => {
    const { slots, bootOrder } = await deviceStatus(gateway)
    await gateway.writeFile('/data/stable.channel', await readFile(bundlePath('channel-10')))
    expect(
      await gateway.fail('atomixctl update install --no-restart /data/stable.channel', { timeoutMs: pollMs }),
    ).toMatch(/was not installed: \S/)
    expect(await deviceStatus(gateway)).toMatchObject({ slots, bootOrder })
    await gateway.succeed('rm /data/stable.channel')
  })

  test('a delta that leads nowhere is given up, and the full bundle is asked for', async () => {
    // Which is not there, so that the next test has something left to do.
    server.answer = await feed('channel-9-spoiled', { withoutBundle: true })
    for (const wanted of [[`GET /${feedDeltaPath}`, `GET /${feedBundlePath}`], [`GET /${feedBundlePath}`]]) {
      const before = server.requests.length
      await gateway.succeed('systemctl start os-upgrade', { timeoutMs: pollMs })
      // Once only: it would lead nowhere again.
      expect(server.requests.slice(before).map(({ line }) => line)).toEqual([`GET ${channelUrl}`, ...wanted])
    }
    expect((await deviceStatus(gateway)).update.lastLook).toMatchObject({
      action: 'failed',
      reason: expect.stringContaining('404'),
    })
    const refused = (await deviceEvents(gateway)).filter(({ event }) => event === 'delta-refused')
    expect(refused).toMatchObject([{ version: '0.2.0', reason: 'a patch is damaged' }])
    expect(await gateway.succeed(`ls ${updateFolder}`)).not.toMatch(/bundle\.(raucb|delta)/)
    expect(await runningSlot(gateway)).toBe('A')
    expect(await gateway.failedUnits()).toEqual([])
  })

  test('at 100 % the release is taken by its delta, proves itself and stays', async () => {
    server.answer = await feed('channel-10')
    const before = server.requests.length
    sentBytes = 0
    const since = await gateway.bootId()
    await gateway.succeed('systemctl start --no-block os-upgrade')
    await gateway.waitForReboot({ since, timeoutMs: bootMs + 300_000 })
    await waitUntilUp(gateway)
    expect(await runningSlot(gateway)).toBe('B')
    // The channel is asked once more when the bundle is there, and nobody's word without a signature.
    expect(server.requests.slice(before).map(({ line }) => line)).toEqual([
      `GET ${channelUrl}`,
      `GET /${feedDeltaPath}`,
      `GET ${channelUrl}`,
    ])
    // Nothing but the version is new: 0.5 % is what a changed line may cost.
    expect(sentBytes).toBeLessThan((await stat(bundlePath('next'))).size * 0.005)
    await waitUntilConfirmed(gateway, 'B')
    expect(await deviceStatus(gateway)).toMatchObject({ slot: 'B', version: '0.2.0' })
    // It has restarted.
    await holdUpdateTimer(gateway)
  })

  test('the number outlives the update, and an older file is refused as before', async () => {
    expect(await sequences()).toEqual([10])
    server.answer = await feed('channel-8-nobody')
    await gateway.succeed('systemctl start os-upgrade', { timeoutMs: pollMs })
    const { lastLook } = (await deviceStatus(gateway)).update
    expect(lastLook).toMatchObject({
      action: 'failed',
      reason: expect.stringContaining('its number is 8, and number 10 was here before'),
    })
  })

  test('by hand the device goes back to a server without a channel', async () => {
    await gateway.succeed(`rm ${channelRecordsPath}`)
    server.answer = await feed(undefined)
    await gateway.succeed('systemctl start os-upgrade', { timeoutMs: pollMs })
    expect((await deviceStatus(gateway)).update.lastLook).toMatchObject({
      action: 'none',
      reason: 'version 0.2.0 is not newer: the device runs 0.2.0',
    })
  })
})
