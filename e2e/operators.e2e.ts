/** People and their containers: who is in the configuration gets in and whose containers run, and who is not, is out. */
import { join } from 'node:path'
import type { CommandResult, LabHost, Machine } from '@atomixos/machine'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { asAccount } from './account-command.ts'
import { deviceEvents, deviceStatus, waitUntilVerified } from './gateway.ts'
import { lanAddress, lanMachine } from './operator-network.ts'
import { type ProvisionedGateway, provisionedGateway } from './provisioned.ts'
import { setup, storyDir } from './setup.ts'
import { grown, readTraces } from './traces.ts'

/** Without restrictions of its own, so that nobody who is locked out is so for another reason. */
const keyPath = '/root/operator-key'

describe('operators', () => {
  let dir: string
  let device: ProvisionedGateway
  let gateway: Machine
  let lan: LabHost
  let key: string

  beforeAll(async () => {
    dir = await storyDir('operators')
    device = await provisionedGateway(join(dir, 'device'))
    gateway = device.gateway
    lan = await lanMachine(device.network)
    await lan.succeed(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', 'story', '-f', keyPath])
    key = (await lan.succeed(['cat', `${keyPath}.pub`])).trim()
    // An application as a site without internet gets it: its image is in the bundle.
    await gateway.succeed(
      [
        'mkdir -p /run/bundle/files/images',
        'tar -C / --dereference -c usr/bin/sleep usr/bin/dash usr/lib/aarch64-linux-gnu/libc.so.6 lib/ld-linux-aarch64.so.1' +
          ' | podman import --quiet - localhost/app:1',
        'podman save --quiet --output /run/bundle/files/images/app.tar localhost/app:1',
        'podman rmi localhost/app:1',
        'echo hello >/run/bundle/files/greeting',
      ].join(' && '),
      { timeoutMs: 300_000 },
    )
  })
  afterAll(async () => {
    await device?.[Symbol.asyncDispose]()
  })

  const toml = (users: string, ofHost = '', more = '') => `version = 1
${users}
[activation]
required = ["app", "host"]
timeout_seconds = 300
[containers.container.app]
privileged = false
Container.Image = "localhost/app:1"
Container.Pull = "never"
Container.Exec = "/usr/bin/sleep infinity"
Container.RunInit = true
Container.PublishPort = "8081:80"
Container.Volume = "data.volume:/var"
[containers.container.host]
privileged = true
Container.Image = "localhost/app:1"
Container.Pull = "never"
Container.Exec = "/usr/bin/sleep infinity"
Container.RunInit = true
${ofHost}
[containers.volume.data.Volume]
${more}`
  const alice = () => `[users.alice]\nisAdmin = true\nssh_key = "${key}"\n`
  const bob = (isAdmin: boolean) => `[users.bob]\nisAdmin = ${isAdmin}\nshell = "sh"\nssh_key = "${key}"\n`

  async function apply(text: string): Promise<CommandResult> {
    await gateway.writeFile('/run/bundle/config.toml', text)
    return gateway.execute(
      'tar -C /run/bundle -czf /run/bundle.tgz config.toml files && atomixctl config apply /run/bundle.tgz',
      { timeoutMs: 600_000 },
    )
  }

  const ssh = (user: string, command: string) => [
    ...['ssh', '-i', keyPath, '-o', 'BatchMode=yes', '-o', 'LogLevel=ERROR'],
    ...['-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null', '-o', 'ConnectTimeout=60'],
    ...[`${user}@${lanAddress}`, command],
  ]
  const login = (user: string, command: string) => lan.run(ssh(user, command), { timeoutMs: 120_000 })

  /** Ids of the running containers: another one is another start. */
  async function running(): Promise<Record<'app' | 'host', string>> {
    const id = async (as: string, name: string) =>
      (
        await gateway.succeed(`${as} podman inspect --format '{{.Id}}' systemd-${name}`, {
          timeoutMs: 60_000,
        })
      ).trim()
    return { app: await id(asAccount, 'app'), host: await id('', 'host') }
  }

  test('a bundle with users and images: everything runs, each container under whom it should', async () => {
    expect(await apply(toml(alice() + bob(true)))).toMatchObject({ exitCode: 0 })
    expect(await gateway.succeed('systemctl is-active host')).toBe('active\n')
    expect(await gateway.succeed(`${asAccount} systemctl --user is-active app`)).toBe('active\n')
    const owner = await gateway.succeed('stat -c %U /proc/$(pgrep -o pasta)')
    expect(owner).toBe('appsvc\n')
    // Published for the device itself, and for nobody else.
    const listening = await gateway.succeed("ss -Hltn 'sport = :8081'")
    expect(listening).toMatch(/^LISTEN\s+\S+\s+\S+\s+127\.0\.0\.1:8081\s[^\n]*\n$/)
  })

  test('users log in with their keys, administrators become root, nobody else gets in', async () => {
    expect(await login('alice', 'id -un; pwd; id -nG; echo $0')).toMatchObject({
      exitCode: 0,
      stdout: 'alice\n/data/home/alice\nalice adm sudo systemd-journal\nzsh\n',
    })
    expect((await login('alice', 'run0 --pipe id -u')).stdout).toBe('0\n')
    for (const user of ['root', 'appsvc', 'nobody', 'carol']) {
      expect((await login(user, 'id')).exitCode, user).toBe(255)
    }
  })

  test('an administrator who is none any more is out at once, shells of root included, and gets in as what he is', async () => {
    await using session = await lan.spawn(ssh('bob', 'echo inside; exec sleep 1000000'))
    await session.waitForOutput(/inside/, { timeoutMs: 120_000 })
    await using elevated = await lan.spawn(ssh('bob', 'run0 --pipe sh -c "id -u; exec sleep 1000001"'))
    await elevated.waitForOutput(/^0$/m, { timeoutMs: 120_000 })
    expect(await apply(toml(alice() + bob(false)))).toMatchObject({ exitCode: 0 })
    await gateway.fail("pgrep -f '^sleep 100000[01]$'")
    await expect
      .poll(() => session.running || elevated.running, { timeout: 30_000, interval: 500 })
      .toBe(false)
    expect((await login('bob', 'id -nG')).stdout).toBe('bob\n')
    expect((await login('bob', 'run0 --pipe id -u </dev/null')).exitCode).not.toBe(0)
  })

  test('a user who is gone is out at once, and the folder stays with its id', async () => {
    await using session = await lan.spawn(ssh('bob', 'echo inside; exec sleep 1000002'))
    await session.waitForOutput(/inside/, { timeoutMs: 120_000 })
    const id = await gateway.succeed('id -u bob')
    expect(await apply(toml(alice()))).toMatchObject({ exitCode: 0 })
    await gateway.fail("pgrep -f '^sleep 1000002$'")
    expect((await login('bob', 'id')).exitCode).toBe(255)
    await gateway.fail('id bob')
    expect(await gateway.succeed('stat -c %u /data/home/bob')).toBe(id)
  })

  test(
    'the same again, and again: containers run on, and nothing is left behind',
    async () => {
      // What is loaded or made once is there after the first of them, and the twentieth job pushes out the first.
      expect((await apply(toml(alice()))).exitCode).toBe(0)
      const before = await running()
      const left = await readTraces(gateway)
      for (let round = 0; round < (setup.thorough ? 100 : 1); round += 1) {
        const { exitCode, stderr } = await gateway.execute('atomixctl config apply /run/bundle.tgz', {
          timeoutMs: 600_000,
        })
        expect(exitCode, `round ${round}: ${stderr}`).toBe(0)
      }
      expect(await running()).toEqual(before)
      // The last job and the manager's own work end a moment after the answer.
      let now = left
      await expect
        .poll(
          async () => {
            now = await readTraces(gateway)
            return now.counts
          },
          { timeout: 180_000, interval: 5000 },
        )
        .toEqual(left.counts)
      expect(grown(left, now)).toEqual([])
      expect(Number(await gateway.succeed('ls /run/atomixos/jobs | wc -l'))).toBeLessThanOrEqual(21)
    },
    // A hundred of them have to fit into this on an emulated processor.
    60 * 60_000,
  )

  test('only what differs is started anew', async () => {
    const before = await running()
    expect(await apply(toml(alice(), 'Container.Environment = "A=B"'))).toMatchObject({ exitCode: 0 })
    const after = await running()
    expect(after.app).toBe(before.app)
    expect(after.host).not.toBe(before.host)
  })

  test('a container that fails takes the change back, and what ran before runs', async () => {
    const third = `[containers.container.third]
privileged = false
Container.Image = "localhost/missing:1"
Container.Pull = "never"`
    const failing = toml(alice(), 'Container.Environment = "A=C"', third)
    const refused = await apply(failing.replace('"host"]', '"host", "third"]'))
    expect(refused.exitCode).toBe(1)
    expect(refused.stderr).toContain('third')
    expect(await gateway.succeed('systemctl is-active host')).toBe('active\n')
    await gateway.fail(`${asAccount} systemctl --user cat third.service`)
    expect(await gateway.succeed('podman inspect --format "{{.Config.Env}}" systemd-host')).toContain('A=B')
  })

  /** Until nothing more can be written by whoever runs the commands behind `as`. */
  const fill = (as: string, path: string) =>
    gateway.succeed(
      `${as} sh -c 'fallocate -l "$(df --output=avail -B1 /data | tail -n 1)" ${path}; head -c 300M /dev/zero >${path}.more; ! echo x >${path}.last' 2>/dev/null`,
      { timeoutMs: 300_000 },
    )
  const appFill = '/data/containers/appsvc/home/fill'
  const rootFill = '/data/fill'

  test('an application fills /data: that is told, and the system itself still writes', async () => {
    await fill(asAccount, appFill)
    const { data } = await deviceStatus(gateway)
    expect(data).toMatchObject({ mounted: true, full: true })
    // A share of the disk is root's.
    expect(data.space!.freeBytes - data.space!.availableBytes).toBeGreaterThan(16e6)
    expect(await gateway.succeed('atomixctl status', { timeoutMs: 120_000 })).toMatch(
      /^Data .*, FULL, 0 MB of /m,
    )
    // So what happens is still remembered.
    expect((await apply('version = 2\n')).exitCode).toBe(1)
    expect((await deviceEvents(gateway)).at(-1)).toMatchObject({ event: 'config-failed' })
  })

  test('not even that share is left: a change is refused and changes nothing, everybody gets in', async () => {
    await fill('', rootFill)
    const text = await gateway.succeed('atomixctl config show', { timeoutMs: 120_000 })
    const before = await running()
    const refused = await apply(toml(alice(), 'Container.Environment = "A=D"'))
    expect(refused.exitCode).toBe(1)
    expect(refused.stderr).toContain('there is no space left on /data for it; nothing has changed')
    expect(await gateway.succeed('atomixctl config show', { timeoutMs: 120_000 })).toBe(text)
    expect((await gateway.succeed('ls -d /data/config*')).trim()).toBe('/data/config')
    expect(await running()).toEqual(before)
    await servesLan()
  })

  /** SSH, addresses, names and the API, from a machine of the LAN. */
  async function servesLan(): Promise<void> {
    expect((await login('alice', 'id -un')).stdout).toBe('alice\n')
    await lan.waitUntilSucceeds(
      ['udhcpc', '-i', 'lan', '-n', '-q', '-f', '-t', '5', '-T', '2', '-B', '-s', '/bin/true'],
      { timeoutMs: 120_000 },
    )
    await lan.waitUntilSucceeds(['busybox', 'nslookup', 'atomixos.local', lanAddress], { timeoutMs: 120_000 })
    const health = await lan.waitUntilSucceeds(
      ['curl', '-sS', '--fail', '--max-time', '60', `http://${lanAddress}:8080/api/health`],
      { timeoutMs: 180_000 },
    )
    expect(JSON.parse(health)).toBeTypeOf('object')
  }

  test('over a restart on a disk that an application has filled: users, keys and what needs no space are there again', async () => {
    await gateway.succeed(`rm -f ${rootFill}*; sync`)
    // What the changes are made of lies in memory, and is wanted again.
    await gateway.copyOut('/run/bundle.tgz', join(dir, 'bundle.tgz'))
    await gateway.reboot({ timeoutMs: 400_000 })
    await gateway.waitUntilSucceeds('systemctl is-active host', { timeoutMs: 400_000 })
    await servesLan()
    await waitUntilVerified(gateway)
    expect((await deviceStatus(gateway)).data).toMatchObject({ mounted: true, full: true })
    expect((await deviceEvents(gateway)).at(-1)).toMatchObject({ event: 'boot' })
  })

  test('with room again it is well by itself: the next change is applied, and everything runs', async () => {
    await gateway.succeed(`rm -f ${appFill}*; sync`)
    expect((await deviceStatus(gateway)).data).toMatchObject({ full: false })
    await gateway.copyIn(join(dir, 'bundle.tgz'), '/run/bundle.tgz')
    await gateway.succeed('mkdir /run/bundle && tar -C /run/bundle -xzf /run/bundle.tgz')
    expect(await apply(toml(alice(), 'Container.Environment = "A=D"'))).toMatchObject({ exitCode: 0 })
    expect(
      await gateway.succeed(`systemctl is-active host && ${asAccount} systemctl --user is-active app`),
    ).toBe('active\nactive\n')
    await gateway.succeed('systemctl restart os-verification', { timeoutMs: 300_000 })
    expect(await gateway.failedUnits()).toEqual([])
  })
})
