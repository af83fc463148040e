/** Releases that are broken in six ways: each time the device is back on slot A with nobody helping, and says why. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { serverAuthoritiesPath } from '@atomixos/config'
import type { Machine } from '@atomixos/machine'
import { beforeAll, describe, expect, test } from 'vitest'
import { type BundleName, bundleFixtures } from './bundle-fixtures.ts'
import {
  addRequiredContainer,
  deviceEvents,
  deviceStatus,
  holdUpdateTimer,
  runningSlot,
  slotABytes,
  triesSince,
} from './gateway.ts'
import { provisionedGateway } from './provisioned.ts'
import { bundlePath, manifest, seededPart, storyDir } from './setup.ts'
import { createUpdateServer, serveBundle } from './update-server.ts'

const notUp = /^it did not come up: a panic, a hang or power cuts used up its tries$/

describe.concurrent('rauc-rollback', () => {
  let dir: string

  beforeAll(async () => {
    dir = await storyDir('rauc-rollback')
  })

  /** Installs the release from a server, waits until A is back, and then lets it ask the server once more. */
  async function rollBack(
    name: BundleName,
    options: { prepare?: (gateway: Machine) => Promise<void>; timeoutMs: number },
  ): Promise<{ reason: string; tries: string[] }> {
    const { version } = bundleFixtures[name]
    await using device = await provisionedGateway(join(dir, name))
    const { gateway, network } = device
    await using server = await createUpdateServer(network)
    await gateway.writeFile(serverAuthoritiesPath, server.authority)
    await options.prepare?.(gateway)
    const before = await slotABytes(gateway)
    server.answer = serveBundle(version, await readFile(bundlePath(name)))
    const from = gateway.console.position
    await gateway.succeed('systemctl start --no-block os-upgrade; sync')
    // B is tried three times; whatever it does, nobody is there.
    await gateway.waitForConsoleText(/ab: try slot A/, { from, timeoutMs: options.timeoutMs })
    await gateway.waitUntilSucceeds('fw_printenv -n SLOT_B_STATE | grep -qx failed', { timeoutMs: 400_000 })
    expect(await runningSlot(gateway)).toBe('A')
    const tries = triesSince(gateway, from)
    const status = await deviceStatus(gateway)
    expect(status).toMatchObject({ slot: 'A', version: manifest.version, bootOrder: 'A' })
    expect(status.slots.A).toMatchObject({ state: 'confirmed' })
    expect(status.slots.B).toMatchObject({ state: 'failed', triesLeft: 0, version })
    expect(status.failedVersions.map((failed) => failed.version)).toEqual([version])
    expect(await slotABytes(gateway)).toBe(before)

    await holdUpdateTimer(gateway)
    const requests = server.requests.length
    await gateway.succeed('systemctl start os-upgrade', { timeoutMs: 180_000 })
    expect(server.requests.slice(requests).map(({ line }) => line)).toEqual([
      'GET /channels/rock64/stable.channel',
      'GET /api/v1/updates/latest',
    ])
    // The journal has the last lines of a program a moment after its end.
    await gateway.waitUntilSucceeds(
      'journalctl -b -u os-upgrade -o cat | grep -qE "version [^ ]+ failed here before"',
      { timeoutMs: 60_000 },
    )

    const rolledBack = (await deviceEvents(gateway)).filter(({ event }) => event === 'rolled-back')
    expect(rolledBack.map((event) => event.version)).toEqual([version])
    return { reason: rolledBack[0]!.reason ?? '', tries }
  }

  interface Case {
    readonly name: string
    readonly bundle: BundleName
    readonly reason: RegExp
    readonly prepare?: (gateway: Machine) => Promise<void>
    readonly timeoutMs: number
  }

  /** The first is told in every run; `boot-chain` damages roots there, and `rauc-confirm` has the health gate say no. */
  const cases: readonly Case[] = [
    { name: 'a kernel that panics', bundle: 'panic', reason: notUp, timeoutMs: 1_500_000 },
    { name: 'an initrd that hangs', bundle: 'hang', reason: notUp, timeoutMs: 2_100_000 },
    { name: 'a damaged squashfs', bundle: 'damaged-root', reason: notUp, timeoutMs: 1_500_000 },
    { name: 'a root that does not mount', bundle: 'no-root', reason: notUp, timeoutMs: 1_500_000 },
    {
      name: 'a service that fails the verification',
      bundle: 'broken-service',
      reason: /^chrony: chrony\.service is failed/,
      timeoutMs: 1_800_000,
    },
    {
      name: 'a required container that is down',
      bundle: 'no-containers',
      reason: /^container:app: app\.service is /,
      prepare: addRequiredContainer,
      timeoutMs: 2_100_000,
    },
  ]

  test.each(seededPart(cases, 1))('$name', { timeout: 3_300_000 }, async (broken) => {
    const { reason, tries } = await rollBack(broken.bundle, broken)
    expect(reason).toMatch(broken.reason)
    expect(tries).toEqual(['B', 'B', 'B', 'A'])
  })
})
