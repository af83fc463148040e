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
import { bundlePath, manifest, storyDir } from './setup.ts'
import { createUpdateServer, serveBundle } from './update-server.ts'

const notUp = 'it did not come up: a panic, a hang or power cuts used up its tries'

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

  test('a kernel that panics', { timeout: 2_700_000 }, async () => {
    const { reason, tries } = await rollBack('panic', { timeoutMs: 1_500_000 })
    expect(reason).toBe(notUp)
    expect(tries).toEqual(['B', 'B', 'B', 'A'])
  })

  test('an initrd that hangs', { timeout: 3_300_000 }, async () => {
    const { reason, tries } = await rollBack('hang', { timeoutMs: 2_100_000 })
    expect(reason).toBe(notUp)
    expect(tries).toEqual(['B', 'B', 'B', 'A'])
  })

  test('a root that does not mount', { timeout: 2_700_000 }, async () => {
    const { reason, tries } = await rollBack('no-root', { timeoutMs: 1_500_000 })
    expect(reason).toBe(notUp)
    expect(tries).toEqual(['B', 'B', 'B', 'A'])
  })

  test('a damaged squashfs', { timeout: 2_700_000 }, async () => {
    const { reason, tries } = await rollBack('damaged-root', { timeoutMs: 1_500_000 })
    expect(reason).toBe(notUp)
    expect(tries).toEqual(['B', 'B', 'B', 'A'])
  })

  test('a service that fails the verification', { timeout: 3_300_000 }, async () => {
    const { reason, tries } = await rollBack('broken-service', { timeoutMs: 1_800_000 })
    expect(reason).toMatch(/^chrony: chrony\.service is failed/)
    expect(tries).toEqual(['B', 'B', 'B', 'A'])
  })

  test('a required container that is down', { timeout: 3_300_000 }, async () => {
    const { reason, tries } = await rollBack('no-containers', {
      prepare: addRequiredContainer,
      timeoutMs: 2_100_000,
    })
    expect(reason).toMatch(/^container:app: app\.service is /)
    expect(tries).toEqual(['B', 'B', 'B', 'A'])
  })
})
