/** People and their containers: who is in the configuration gets in and whose containers run, and who is not, is out. */
import { join } from 'node:path'
import type { CommandResult, LabHost, Machine } from '@atomixos/machine'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { lanAddress, lanMachine } from './operator-network.ts'
import { type ProvisionedGateway, provisionedGateway } from './provisioned.ts'
import { setup, storyDir } from './setup.ts'

/** Without restrictions of its own, so that nobody who is locked out is so for another reason. */
const keyPath = '/root/operator-key'

/** As the account of applications without privileges, in front of its own system manager. */
const asAccount =
  'setpriv --reuid 900 --regid 900 --init-groups env -C / USER=appsvc HOME=/data/containers/appsvc/home XDG_RUNTIME_DIR=/run/user/900'

describe('operators', () => {
  let device: ProvisionedGateway
  let gateway: Machine
  let lan: LabHost
  let key: string

  beforeAll(async () => {
    device = await provisionedGateway(join(await storyDir('operators'), 'device'))
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

  test('the same again, and again: containers run on, and nothing is left behind', async () => {
    const before = await running()
    const traces =
      'ls -d /data/config*; ls /data /etc /run/atomixos | sort; podman ps -aq | wc -l; podman images -q | wc -l'
    const left = await gateway.succeed(traces)
    for (let round = 0; round < (setup.thorough ? 100 : 1); round += 1) {
      expect((await apply(toml(alice()))).exitCode, `round ${round}`).toBe(0)
    }
    expect(await running()).toEqual(before)
    expect(await gateway.succeed(traces)).toBe(left)
    expect(Number(await gateway.succeed('ls /run/atomixos/jobs | wc -l'))).toBeLessThanOrEqual(21)
  })

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

  test('over a restart: users, keys and containers are there again', async () => {
    await gateway.reboot({ timeoutMs: 400_000 })
    await gateway.waitUntilSucceeds(
      `systemctl is-active host && ${asAccount} systemctl --user is-active app`,
      {
        timeoutMs: 400_000,
      },
    )
    expect((await login('alice', 'id -un')).stdout).toBe('alice\n')
    expect(await gateway.failedUnits()).toEqual([])
  })
})
