/** A freshly flashed device gets its first configuration, changes it, and keeps a whole one whatever happens meanwhile. */
import { bootSeedName, configFolder, operatorConfigPath } from '@atomixos/config'
import { createMachine, type Machine } from '@atomixos/machine'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bootMs, deviceEvents, deviceStatus, waitUntilUp, waitUntilVerified } from './gateway.ts'
import { createGatewayNetwork, type GatewayNetwork } from './gateway-network.ts'
import { gatewayOptions, storyDir } from './setup.ts'

const waiting = /AtomixOS: this device is not provisioned: it waits for a USB stick/

/** A container of an image that the story makes on the device; `exec` is what it runs. */
function configToml(exec = '/usr/bin/sleep infinity', more = ''): string {
  return `version = 1
[users.alice]
isAdmin = true
ssh_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILFNjNtdKFTxnnwbjuukUdxKtdNgKT3OUSv00NmpdrJU"
[activation]
required = ["app"]
timeout_seconds = 300
[containers.container.app]
privileged = true
Container.Image = "localhost/app:1"
Container.Pull = "never"
Container.Exec = "${exec}"
Container.RunInit = true
${more}`
}

describe('provisioning', () => {
  let gateway: Machine
  let network: GatewayNetwork

  beforeAll(async () => {
    const dir = await storyDir('provisioning')
    network = await createGatewayNetwork(dir)
    gateway = await createMachine(gatewayOptions(dir, { lab: network.lab, nics: network.nics }))
    await gateway.start()
    await waitUntilUp(gateway)
  })
  afterAll(async () => {
    await gateway?.[Symbol.asyncDispose]()
    await network?.[Symbol.asyncDispose]()
  })

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

  test('a seed with mistakes is told with lines and columns, and the device goes on waiting', async () => {
    const from = gateway.console.position
    await seedBoot('version = 1\n[usres.alice]\n')
    await gateway.waitForConsoleText(/AtomixOS: +config\.toml:2:\d+: usres/, { from, timeoutMs: 120_000 })
    await gateway.waitForConsoleText(waiting, { from, timeoutMs: 60_000 })
    await gateway.fail(`test -e ${operatorConfigPath}`)
  })

  test('a good one is applied, and the slot proves itself', async () => {
    await gateway.succeed(
      [
        'tar -C / --dereference -c usr/bin/sleep usr/bin/false usr/lib/aarch64-linux-gnu/libc.so.6 lib/ld-linux-aarch64.so.1',
        '| podman import --quiet - localhost/app:1',
        // Only what was written out survives the cut at the end; what the story is about has to see to that itself.
        '&& sync',
      ].join(' '),
      { timeoutMs: 300_000 },
    )
    await seedBoot(configToml())
    await gateway.waitUntilSucceeds(`atomixctl events --json | grep -q '"provisioned"'`, {
      timeoutMs: 300_000,
    })
    expect(await gateway.succeed('systemctl is-active app.service')).toBe('active\n')
    expect(String(await gateway.readFile(operatorConfigPath))).toBe(configToml())
    await gateway.waitUntilSucceeds('test "$(fw_printenv -n SLOT_A_STATE)" = confirmed', {
      timeoutMs: 300_000,
    })
    await gateway.waitUntilSucceeds('test "$(systemctl show -P ActiveState provisioning)" = inactive', {
      timeoutMs: 60_000,
    })
    expect(await gateway.failedUnits()).toEqual([])
  })

  test('a change whose container does not come up is taken back', async () => {
    const { stdout, exitCode } = await apply(configToml('/usr/bin/false'))
    expect(exitCode).toBe(1)
    expect(JSON.parse(stdout)).toMatchObject({ state: 'failed', rollback: 'completed' })
    expect(String(await gateway.readFile(operatorConfigPath))).toBe(configToml())
    expect(await gateway.succeed('systemctl is-active app.service')).toBe('active\n')
    expect((await gateway.succeed('ls /data | grep config')).trim()).toBe('config')
  })

  test('a change with confirmation stays when it is confirmed', async () => {
    const text = configToml('/usr/bin/sleep 1000000')
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

  test('a program that is killed half-way is taken back', async () => {
    const before = await gateway.succeed('atomixctl config show')
    await gateway.writeFile('/run/killed.toml', configToml('/usr/bin/sleep 1000002'))
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
    await gateway.writeFile('/run/cut.toml', configToml('/usr/bin/sleep 1000001'))
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
      'config-failed',
      'config-applied',
      'config-rolled-back',
      'config-confirmed',
      'config-applied',
      'config-rolled-back',
      'config-rolled-back',
    ])
    // Nothing of it starts on a device that is provisioned.
    const ran = 'systemctl show -P ConditionResult provisioning'
    expect(await gateway.succeed(ran)).toBe('no\n')
  })
})
