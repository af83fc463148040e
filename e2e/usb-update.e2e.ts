/** Updates come on a USB stick to a device without a network and with a wrong clock, and their story goes back on it. */
import { join } from 'node:path'
import {
  bootSeedName,
  channelPath,
  defaultChannelName,
  usbBundlePath,
  usbUpdateAllowedPath,
} from '@atomixos/config'
import type { Machine } from '@atomixos/machine'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { feedDeltaPath } from './bundle-fixtures.ts'
import {
  bootMs,
  deviceStatus,
  type LoggedEvent,
  runningSlot,
  waitUntilConfirmed,
  waitUntilUp,
} from './gateway.ts'
import { gatewayMac } from './gateway-network.ts'
import { type ProvisionedGateway, provisionedGateway } from './provisioned.ts'
import { bundlePath, manifest, storyDir, thoroughly } from './setup.ts'
import { makeStick, plugIn, pullOut, type Stick, type StickContent } from './usb-stick.ts'

const partition = 'sda1'
const unit = `usb-update@${partition}.service`
/** Years before anything was signed. */
const wrongTime = '2001-02-03 04:05:06'
const workMs = 180_000

interface Report {
  readonly result: string
  readonly reason: string
  readonly version?: string
  readonly runningVersion: string
  readonly time: string
  readonly seen: readonly { readonly file: string; readonly refused?: string }[]
  readonly events: readonly LoggedEvent[]
}

describe('usb-update', () => {
  let dir: string
  let device: ProvisionedGateway
  let gateway: Machine

  beforeAll(async () => {
    dir = await storyDir('usb-update')
    device = await provisionedGateway(dir)
    gateway = device.gateway
    await gateway.succeed(`ip link set eth0 down && systemctl stop chrony && date -s '${wrongTime}'`)
  })
  afterAll(async () => {
    await device?.[Symbol.asyncDispose]()
  })

  const stickWith = (name: string, content: StickContent, sizeMiB?: number) =>
    makeStick(join(dir, `${name}.img`), content, sizeMiB)

  /** Until the service has said that, and has ended: then the report is on the stick. */
  async function waitUntilSaid(text: string, timeoutMs = workMs): Promise<void> {
    await gateway.waitUntilSucceeds(`journalctl -b -u ${unit} -o cat | grep -qF "${text}"`, { timeoutMs })
    await gateway.waitUntilSucceeds(`test "$(systemctl show -P ActiveState ${unit})" = inactive`, {
      timeoutMs,
    })
  }

  async function reportOn(stick: Stick): Promise<Report> {
    const path = `atomixos-reports/${gatewayMac.replaceAll(':', '')}`
    expect(await stick.read(`${path}.txt`)).toContain('Result  ')
    return JSON.parse((await stick.read(`${path}.json`)) ?? 'null') as Report
  }

  test('nobody has allowed it: a stick is not looked at', async () => {
    const stick = await stickWith('not-allowed', { 'next.raucb': bundlePath('next') })
    await plugIn(gateway, stick)
    await gateway.waitUntilSucceeds(
      `test "$(systemctl show -P ConditionResult -P ConditionTimestampMonotonic ${unit} | tr '\\n' ' ')" != "no 0 "`,
    )
    expect(await gateway.succeed(`systemctl show -P ConditionResult ${unit}`)).toBe('no\n')
    await pullOut(gateway)
    expect(await stick.read('atomixos-reports')).toBeUndefined()
    await gateway.succeed(`touch ${usbUpdateAllowedPath}`)
  })

  test('what is signed by others, revoked or for another board is refused, and the stick tells why', async () => {
    const names = ['other-authority', 'revoked', 'other-board'] as const
    const content = Object.fromEntries(names.map((name) => [`${name}.raucb`, bundlePath(name)]))
    const stick = await stickWith('refused', content, 512)
    const before = await deviceStatus(gateway)
    await plugIn(gateway, stick)
    await waitUntilSaid(`${partition}: nothing: see what was found`)
    await pullOut(gateway)
    const report = await reportOn(stick)
    expect(report).toMatchObject({ result: 'nothing', runningVersion: manifest.version })
    expect(report.time).toMatch(/^2001-02-03T/)
    expect(Object.fromEntries(report.seen.map(({ file, refused }) => [file, refused]))).toEqual({
      'other-authority.raucb': expect.stringMatching(/signature verification failed|issuer|self.signed/i),
      'revoked.raucb': expect.stringMatching(/revoked/),
      'other-board.raucb': expect.stringContaining('it is for "atomixos-toaster"'),
    })
    const { slots, bootOrder } = await deviceStatus(gateway)
    expect({ slots, bootOrder }).toEqual({ slots: before.slots, bootOrder: before.bootOrder })
  })

  test('a stick that is pulled out in the middle harms nothing', async () => {
    const stick = await stickWith('pulled', { 'next.raucb': bundlePath('next') })
    const before = await deviceStatus(gateway)
    await plugIn(gateway, stick, { bytesPerS: 4_000_000 })
    await gateway.waitUntilSucceeds(`test "$(stat -c %s ${usbBundlePath})" -gt 8000000`, {
      timeoutMs: workMs,
    })
    await pullOut(gateway)
    await waitUntilSaid(`${partition}: failed: the stick can't be read any more`)
    await gateway.fail(`test -e ${usbBundlePath}`)
    const { slots, bootOrder } = await deviceStatus(gateway)
    expect({ slots, bootOrder }).toEqual({ slots: before.slots, bootOrder: before.bootOrder })
    expect(await runningSlot(gateway)).toBe('A')
    expect(await gateway.failedUnits()).toEqual([])
  })

  let feedStick: Stick

  test('a feed on a stick is installed by its delta, and the device restarts into it', async () => {
    feedStick = await stickWith('feed', {
      [`atomixos/${channelPath(manifest.board, defaultChannelName)}`]: bundlePath('channel-10'),
      [`atomixos/${feedDeltaPath}`]: bundlePath('next-delta'),
    })
    // As on every device that was flashed with a configuration: a delta minds nothing but the files of the release.
    await gateway.succeed(
      [
        'mkdir /run/boot-a && mount -t vfat /dev/atomixos/boot-a /run/boot-a',
        `printf 'version = 1\\n' >/run/boot-a/${bootSeedName} && umount /run/boot-a`,
      ].join(' && '),
    )
    expect(await gateway.succeed('date +%Y')).toBe('2001\n')
    const from = gateway.console.position
    await plugIn(gateway, feedStick)
    await gateway.waitForConsoleText(/ab: try slot B/, { from, timeoutMs: bootMs + 300_000 })
    await gateway.bootId({ timeoutMs: bootMs })
    expect(await runningSlot(gateway)).toBe('B')
  })

  test.each(thoroughly)('left in, the stick has the proof in the end', async () => {
    await waitUntilUp(gateway)
    expect(await runningSlot(gateway)).toBe('B')
    await waitUntilConfirmed(gateway, 'B')
    await waitUntilSaid('version 0.2.0 is not newer: the device runs 0.2.0')
    await pullOut(gateway)
    const { events, ...report } = await reportOn(feedStick)
    expect(report).toMatchObject({ result: 'nothing', runningVersion: '0.2.0' })
    const told = events.map(({ event, slot, version }) => `${event} ${slot} ${version}`)
    const wanted = ['installed B 0.2.0', 'boot B 0.2.0', 'confirmed B 0.2.0']
    expect(told.filter((event) => wanted.includes(event))).toEqual(wanted)
    expect(await gateway.failedUnits()).toEqual([])
  })
})
