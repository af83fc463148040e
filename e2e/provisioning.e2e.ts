/** A device gets its first configuration from card or stick, changes it, keeps a whole one whatever happens, and begins anew when wiped. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { bootSeedName, configFolder, operatorConfigPath } from '@atomixos/config'
import { createMachine, type Machine } from '@atomixos/machine'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bootMs, deviceEvents, deviceStatus, waitUntilUp, waitUntilVerified } from './gateway.ts'
import { createGatewayNetwork, type GatewayNetwork } from './gateway-network.ts'
import { importApp, oneContainerToml } from './one-container.ts'
import { gatewayOptions, manifest, setup, storyDir, thoroughly } from './setup.ts'
import { makeStick, plugIn, pullOut } from './usb-stick.ts'

const waiting = /AtomixOS: this device is not provisioned: it waits for a USB stick/

describe('provisioning', () => {
  let gateway: Machine
  let network: GatewayNetwork

  let dir: string

  beforeAll(async () => {
    dir = await storyDir('provisioning')
    network = await createGatewayNetwork(dir)
    gateway = await createMachine(
      gatewayOptions(dir, {
        ...{ lab: network.lab, nics: network.nics, usb: true },
        // A board without a battery, and nobody tells it the time: all of this happens in the past.
        extraArguments: ['-rtc', 'base=2000-01-01T00:00:00'],
      }),
    )
    await gateway.start()
    // In before the firmware has handed over.
    await plugIn(gateway, await stickOf('mistakes', { 'config.toml': 'version = 1\n[usres.alice]\n' }))
    await waitUntilUp(gateway)
  })
  afterAll(async () => {
    await gateway?.[Symbol.asyncDispose]()
    await network?.[Symbol.asyncDispose]()
  })

  /** A stick with these files, as text. */
  async function stickOf(name: string, files: Readonly<Record<string, string | Uint8Array>>) {
    const paths = Object.entries(files).map(async ([file, content]) => {
      const path = join(dir, `${name}-${file}`)
      await writeFile(path, content)
      return [file, path] as const
    })
    return makeStick(join(dir, `${name}.img`), Object.fromEntries(await Promise.all(paths)), 64)
  }

  /** What the console says of a stick, whichever name the kernel gave it. */
  const ofStick = (said: string) =>
    new RegExp(`AtomixOS: ${said.replace('STICK', 'the USB stick \\(sd\\w+\\)')}`)

  /** As if it had been flashed that way: the boot of a fresh flash looks at /boot when provisioning begins. */
  async function seedBoot(text: string): Promise<void> {
    await gateway.succeed('mkdir -p /run/story && mount /dev/atomixos/boot-a /run/story')
    await gateway.writeFile(`/run/story/${bootSeedName}`, text)
    await gateway.succeed('umount /run/story && systemctl restart provisioning', { timeoutMs: 60_000 })
  }

  const apply = (text: string, options = '') =>
    gateway
      .writeFile('/run/new.toml', text)
      .then(() =>
        gateway.execute(`atomixctl config apply /run/new.toml --json ${options}`, { timeoutMs: 600_000 }),
      )

  test('the console says what it waits for, and nothing is confirmed', async () => {
    await gateway.waitForConsoleText(waiting, { from: 0, timeoutMs: bootMs })
    await waitUntilVerified(gateway)
    expect(await gateway.succeed('journalctl -b -u os-verification -o cat')).toContain(
      'provisioning confirms the slot',
    )
    expect((await deviceStatus(gateway)).slots.A).not.toHaveProperty('state')
  })

  test('a stick that was in at the start is read, and its mistakes are told with lines and columns', async () => {
    await gateway.waitForConsoleText(ofStick('applying config\\.toml of STICK'), {
      from: 0,
      timeoutMs: bootMs,
    })
    const told = await gateway.waitForConsoleText(/AtomixOS: +config\.toml:2:\d+: usres/, {
      ...{ from: 0, timeoutMs: 120_000 },
    })
    await gateway.waitForConsoleText(waiting, { from: told.end, timeoutMs: 60_000 })
    await gateway.fail(`test -e ${operatorConfigPath}`)
    await pullOut(gateway)
    // No time from anywhere: the clock is no earlier than the build, and wrong.
    const now = Number(await gateway.succeed('date +%s'))
    expect(now).toBeLessThan(manifest.sourceDateEpoch + 24 * 3600)
  })

  test('a seed with mistakes is told with lines and columns, and the device goes on waiting', async () => {
    const from = gateway.console.position
    await seedBoot('version = 1\n[usres.alice]\n')
    await gateway.waitForConsoleText(/AtomixOS: +config\.toml:2:\d+: usres/, { from, timeoutMs: 120_000 })
    await gateway.waitForConsoleText(waiting, { from, timeoutMs: 60_000 })
    await gateway.fail(`test -e ${operatorConfigPath}`)
  })

  test('a good one is applied, and the slot proves itself', async () => {
    await importApp(gateway, ['usr/bin/sleep', 'usr/bin/false'])
    // Only what was written out survives the cut at the end; what the story is about has to see to that itself.
    await gateway.succeed('sync', { timeoutMs: 120_000 })
    // For the stick that brings all there is to a device that has nothing any more.
    const files = '/run/bundle/files'
    await gateway.succeed(
      `mkdir -p ${files}/images && podman save --quiet --output ${files}/images/app.tar localhost/app:1 && echo hello >${files}/greeting`,
      { timeoutMs: 300_000 },
    )
    const text = oneContainerToml().replace('users.alice', 'users.bob')
    await gateway.writeFile('/run/bundle/config.toml', text)
    await gateway.succeed('tar -C /run/bundle -czf /run/config.tgz config.toml files', {
      timeoutMs: 120_000,
    })
    await gateway.copyOut('/run/config.tgz', join(dir, 'config.tgz'))
    await gateway.succeed('rm -r /run/bundle /run/config.tgz')
    await seedBoot(oneContainerToml())
    await gateway.waitUntilSucceeds(`atomixctl events --json | grep -q '"provisioned"'`, {
      timeoutMs: 300_000,
    })
    expect(await gateway.succeed('systemctl is-active app.service')).toBe('active\n')
    expect(String(await gateway.readFile(operatorConfigPath))).toBe(oneContainerToml())
    await gateway.waitUntilSucceeds('test "$(fw_printenv -n SLOT_A_STATE)" = confirmed', {
      timeoutMs: 300_000,
    })
    await gateway.waitUntilSucceeds('test "$(systemctl show -P ActiveState provisioning)" = inactive', {
      timeoutMs: 60_000,
    })
    expect(await gateway.failedUnits()).toEqual([])
  })

  test.each(thoroughly)('a change whose container does not come up is taken back', async () => {
    const { stdout, exitCode } = await apply(oneContainerToml({ exec: '/usr/bin/false' }))
    expect(exitCode).toBe(1)
    expect(JSON.parse(stdout)).toMatchObject({ state: 'failed', rollback: 'completed' })
    expect(String(await gateway.readFile(operatorConfigPath))).toBe(oneContainerToml())
    expect(await gateway.succeed('systemctl is-active app.service')).toBe('active\n')
    expect((await gateway.succeed('ls /data | grep config')).trim()).toBe('config')
  })

  test('a change with confirmation stays when it is confirmed', async () => {
    const text = oneContainerToml({ exec: '/usr/bin/sleep 1000000' })
    await gateway.writeFile('/run/confirmed.toml', text)
    await gateway.succeed(
      'systemd-run --unit=story-apply atomixctl config apply /run/confirmed.toml --confirm 600',
    )
    await gateway.waitUntilSucceeds('atomixctl config status --json | grep -q waiting-for-confirmation', {
      timeoutMs: 200_000,
    })
    await gateway.succeed('atomixctl config confirm', { timeoutMs: 60_000 })
    expect(await gateway.succeed('atomixctl config show')).toBe(text)
  })

  test.each(thoroughly)('a program that is killed half-way is taken back', async () => {
    const before = await gateway.succeed('atomixctl config show')
    await gateway.writeFile('/run/killed.toml', oneContainerToml({ exec: '/usr/bin/sleep 1000002' }))
    await gateway.succeed(
      'systemd-run --unit=story-kill atomixctl config apply /run/killed.toml --confirm 600',
    )
    await gateway.waitUntilSucceeds('atomixctl config status --json | grep -q waiting-for-confirmation', {
      timeoutMs: 200_000,
    })
    await gateway.succeed("systemctl kill --signal=KILL 'config-apply@*'")
    await gateway.waitUntilSucceeds(`atomixctl config status --json | grep -q '"rollback": "completed"'`, {
      timeoutMs: 200_000,
    })
    expect(await gateway.succeed('atomixctl config show')).toBe(before)
  })

  test('power that fails before the confirmation: the next start has the one before, running', async () => {
    const before = await gateway.succeed('atomixctl config show')
    await gateway.writeFile('/run/cut.toml', oneContainerToml({ exec: '/usr/bin/sleep 1000001' }))
    await gateway.succeed('systemd-run --unit=story-cut atomixctl config apply /run/cut.toml --confirm 600')
    await gateway.waitUntilSucceeds('atomixctl config status --json | grep -q waiting-for-confirmation', {
      timeoutMs: 200_000,
    })
    await gateway.crash()
    await gateway.start()
    await waitUntilUp(gateway)
    expect(await gateway.succeed('atomixctl config show')).toBe(before)
    await gateway.waitUntilSucceeds('systemctl is-active app.service', { timeoutMs: 120_000 })
    expect((await gateway.succeed(`ls -d ${configFolder}*`)).trim()).toBe(configFolder)
    const events = (await deviceEvents(gateway)).map(({ event }) => event)
    expect(events.filter((event) => event.startsWith('config-'))).toEqual([
      // Of the stick, and of the seed.
      'config-failed',
      'config-failed',
      'config-applied',
      ...(setup.thorough ? ['config-rolled-back'] : []),
      'config-confirmed',
      'config-applied',
      ...(setup.thorough ? ['config-rolled-back'] : []),
      'config-rolled-back',
    ])
    // Nothing of it starts on a device that is provisioned.
    const ran = 'systemctl show -P ConditionResult provisioning'
    expect(await gateway.succeed(ran)).toBe('no\n')
  })

  describe('wiped', () => {
    /** What makes this device this one. */
    const identity = async () =>
      (await gateway.succeed('cat /etc/machine-id; cut -d" " -f2 /data/ssh/*.pub')).trim().split('\n')
    const slots = async () => {
      const { slots, bootOrder } = await deviceStatus(gateway)
      const state = { A: slots.A.state, B: slots.B.state, bootOrder }
      return { ...state, boot: await gateway.succeed('sha256sum </dev/atomixos/boot-a') }
    }
    let before: { identity: string[]; slots: Awaited<ReturnType<typeof slots>> }

    test('without its /data it is a device that was never provisioned, and the card is not read again', async () => {
      before = { identity: await identity(), slots: await slots() }
      // The configuration it was flashed with is still on the boot partition.
      await gateway.succeed(
        `mkdir -p /run/story && mount -o ro /dev/atomixos/boot-a /run/story && grep -q alice /run/story/${bootSeedName} && umount /run/story`,
      )
      // What docs/recovery.md says, when nothing uses /data any more: at the end of the way down.
      const wipe = '/usr/lib/systemd/system-shutdown/wipe'
      await gateway.succeed(`mkdir -p ${wipe.slice(0, -'/wipe'.length)}`)
      await gateway.writeFile(wipe, '#!/bin/sh\nexec mkfs.f2fs -f /dev/atomixos/data >/dev/kmsg 2>&1\n', {
        mode: 0o755,
      })
      // The cables are out from here on.
      for (const name of ['net0', 'net1']) await gateway.qmp!.execute('set_link', { name, up: false })
      await plugIn(gateway, await stickOf('photos', { 'photo.jpg': 'no configuration' }))
      const from = gateway.console.position
      await gateway.reboot({ timeoutMs: bootMs })
      await waitUntilUp(gateway)
      const told = await gateway.waitForConsoleText(ofStick('STICK holds no configuration'), {
        ...{ from, timeoutMs: 180_000 },
      })
      await gateway.waitForConsoleText(/AtomixOS: this device is not provisioned/, {
        ...{ from: told.end, timeoutMs: 60_000 },
      })
      await pullOut(gateway)
      await gateway.fail(`test -e ${operatorConfigPath}`)
      await gateway.fail('id alice')
      await gateway.fail('test -e /data/home/alice')
      expect(await gateway.succeed('podman images -q', { timeoutMs: 120_000 })).toBe('')
      const now = await identity()
      expect(now).toHaveLength(before.identity.length)
      expect(now.filter((line) => before.identity.includes(line))).toEqual([])
      await waitUntilVerified(gateway)
      // Cables are no part of what makes a release good.
      expect(await gateway.succeed('journalctl -b -u os-verification -o cat')).toContain('all checks pass')
      expect(await slots()).toEqual(before.slots)
      expect(await gateway.failedUnits()).toEqual([])
    })

    test.each(thoroughly)(
      'a stick that is pulled out while it is read is told, and the device goes on waiting',
      async () => {
        const from = gateway.console.position
        const stick = await stickOf('slow', { 'config.tar.gz': Buffer.alloc(24 << 20, 'x') })
        await plugIn(gateway, stick, { bytesPerS: 500_000 })
        // Mounted, where nobody else sees it; from there on it is being read.
        await gateway.waitUntilSucceeds(
          'grep -q " /run/atomixos/seed " /proc/$(systemctl show -P MainPID provisioning)/mounts',
          { timeoutMs: 120_000 },
        )
        await pullOut(gateway)
        await gateway.waitForConsoleText(ofStick('STICK: config\\.tar\\.gz cannot be read to its end'), {
          ...{ from, timeoutMs: 180_000 },
        })
        expect(await gateway.succeed('systemctl is-active provisioning')).toBe('active\n')
        await gateway.fail(`test -e ${operatorConfigPath}`)
      },
    )

    test('of two sticks the one that has a good configuration is taken, with its files', async () => {
      const from = gateway.console.position
      await plugIn(gateway, await stickOf('older', { 'config.toml': 'version = 2\n' }), { id: 'first' })
      await gateway.waitForConsoleText(ofStick('config\\.toml of STICK was not applied'), {
        ...{ from, timeoutMs: 180_000 },
      })
      const stick = await makeStick(join(dir, 'good.img'), { 'config.tgz': join(dir, 'config.tgz') }, 64)
      await plugIn(gateway, stick, { id: 'second' })
      await gateway.waitForConsoleText(ofStick('applying config\\.tgz of STICK'), {
        from,
        timeoutMs: 120_000,
      })
      await gateway.waitForConsoleText(/AtomixOS: this device is provisioned/, { from, timeoutMs: 600_000 })
      expect(gateway.console.text.slice(from)).toMatch(/AtomixOS: +config\.toml:1:\d+: version/)
      await pullOut(gateway, { id: 'first' })
      await pullOut(gateway, { id: 'second' })
      const log = await gateway.succeed('journalctl -b -u provisioning -o cat')
      expect(log).toMatch(/applying config\.tgz of the USB stick/)
      expect(await gateway.succeed(`cat ${configFolder}/files/greeting`)).toBe('hello\n')
      expect(await gateway.succeed(`cat ${configFolder}/ssh-authorized-keys/bob`)).toContain('ssh-ed25519 ')
      expect(await gateway.succeed('id -nG bob')).toContain('sudo')
      await gateway.fail('id alice')
      expect(await gateway.succeed('systemctl is-active app.service')).toBe('active\n')
      const events = await deviceEvents(gateway)
      expect(events.find(({ event }) => event === 'provisioned')?.detail).toContain('usb')
      // The slot had proved itself in the life before, and is watched again.
      await gateway.waitUntilSucceeds(
        'test "$(journalctl -b -u os-verification -o cat | grep -c "all checks pass")" = 2',
        { timeoutMs: 300_000 },
      )
      expect(await slots()).toEqual(before.slots)
    })
  })
})
