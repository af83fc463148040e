/** Images come from a registry of the site's own: by TLS and its authority, from a mirror, by digest; and when it is away nothing stops. */
import { join } from 'node:path'
import type { CommandResult, Machine } from '@atomixos/machine'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { asAccount } from './account-command.ts'
import { type ProvisionedGateway, provisionedGateway } from './provisioned.ts'
import { createRegistry, type Registry } from './registry.ts'
import { storyDir, thoroughly } from './setup.ts'

const key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILFNjNtdKFTxnnwbjuukUdxKtdNgKT3OUSv00NmpdrJU'

describe('registry', () => {
  let device: ProvisionedGateway
  let gateway: Machine
  let registry: Registry
  /** Without TLS, with the same images. */
  let mirror: Registry
  let digest: string

  beforeAll(async () => {
    device = await provisionedGateway(join(await storyDir('registry'), 'device'))
    gateway = device.gateway
    registry = await createRegistry(device.network, { port: 5000, tls: true })
    mirror = await createRegistry(device.network, { port: 5001, tls: false })
    // The images are made here, pushed, and forgotten: from then on only the registry has them.
    const push = (name: string, more = '') =>
      `podman push --quiet --tls-verify=false ${more} localhost/app:1 docker://${mirror.host}/${name}`
    await gateway.succeed(
      [
        'tar -C / --dereference -c usr/bin/sleep usr/lib/aarch64-linux-gnu/libc.so.6 lib/ld-linux-aarch64.so.1' +
          ' | podman import --quiet - localhost/app:1',
        push('app:1'),
        push('library/app:1', '--digestfile /run/digest'),
        'podman rmi --all',
      ].join(' && '),
      { timeoutMs: 600_000 },
    )
    digest = (await gateway.succeed('cat /run/digest')).trim()
    expect(digest).toMatch(/^sha256:[0-9a-f]{64}$/)
  })
  afterAll(async () => {
    await mirror?.[Symbol.asyncDispose]()
    await registry?.[Symbol.asyncDispose]()
    await device?.[Symbol.asyncDispose]()
  })

  const container = (name: string, privileged: boolean, image: string) => `
[containers.container.${name}]
privileged = ${privileged}
[containers.container.${name}.Container]
Image = "${image}"
Exec = "/usr/bin/sleep infinity"
RunInit = true
`
  /** Two applications that run all the time, and perhaps a third. */
  const toml = (third?: { readonly image: string; readonly more?: string }) => `version = 1
[users.alice]
isAdmin = true
ssh_key = "${key}"
[activation]
required = ["app", "host"${third ? ', "third"' : ''}]
timeout_seconds = 600
${container('app', false, `${registry.host}/app:1`)}
${container('host', true, `${registry.host}/app:1`)}
${third ? container('third', false, third.image) + (third.more ?? '') : ''}`

  async function apply(
    text: string,
    { authority = true, registries = '' }: { authority?: boolean; registries?: string } = {},
  ): Promise<CommandResult> {
    const folder = '/run/bundle/files/registries'
    await gateway.succeed(`rm -rf /run/bundle && mkdir -p ${folder}/certs.d/${registry.host}`)
    await gateway.writeFile('/run/bundle/config.toml', text)
    if (authority) await gateway.writeFile(`${folder}/certs.d/${registry.host}/site.crt`, registry.authority)
    if (registries !== '') await gateway.writeFile(`${folder}/registries.conf`, registries)
    return gateway.execute(
      'tar -C /run/bundle -czf /run/bundle.tgz config.toml files && atomixctl config apply /run/bundle.tgz',
      { timeoutMs: 900_000 },
    )
  }

  /** Ids of the running containers: another one is another start. */
  async function running(): Promise<Record<'app' | 'host', string>> {
    const id = (as: string, name: string) =>
      gateway.succeed(`${as} podman inspect --format '{{.Id}} {{.State.Status}}' systemd-${name}`, {
        timeoutMs: 120_000,
      })
    return { app: await id(asAccount, 'app'), host: await id('', 'host') }
  }

  /** What is refused leaves everything as it was, and says which container, and why. */
  async function expectRefused(result: CommandResult, why: RegExp): Promise<void> {
    expect(result.exitCode).toBe(1)
    expect(result.stderr).toMatch(/container "third" failed/)
    expect(result.stderr).toMatch(why)
    expect(result.stderr).toContain('the configuration before is active again')
  }

  test('with the authority in the bundle both kinds of containers get their images by TLS', async () => {
    expect(await apply(toml())).toMatchObject({ exitCode: 0 })
    const states = await running()
    expect([states.app, states.host].map((state) => state.trim().split(' ')[1])).toEqual([
      'running',
      'running',
    ])
    expect(
      await gateway.succeed('podman images --format "{{.Repository}}:{{.Tag}}"', { timeoutMs: 120_000 }),
    ).toBe(`${registry.host}/app:1\n`)
  })

  test('without it nobody is believed: the change goes back, and what ran runs on', async () => {
    const before = await running()
    const third = { image: `${registry.host}/library/app:1` }
    await expectRefused(
      await apply(toml(third), { authority: false }),
      /certificate signed by unknown authority/,
    )
    expect(await running()).toEqual(before)
    // The authority is back with the configuration.
    await gateway.succeed(`test -s /etc/containers/certs.d/${registry.host}/site.crt`)
  })

  test.each(thoroughly)('a digest pins what is run: a wrong one is refused', async () => {
    const before = await running()
    const wrong = digest.replace(/.{4}$/, (end) => (end === '0000' ? '1111' : '0000'))
    await expectRefused(
      await apply(toml({ image: `${registry.host}/app@${wrong}` })),
      /manifest unknown|manifest.*not found/,
    )
    expect(await running()).toEqual(before)
  })

  test.each(thoroughly)(
    'a mirror stands in for a registry that is not reached, without TLS only where that is said',
    async () => {
      const before = await running()
      const third = { image: `docker.io/library/app@${digest}` }
      const registries = (insecure: boolean) =>
        [
          ...['[[registry]]', 'location = "docker.io"', '[[registry.mirror]]'],
          ...[`location = "${mirror.host}"`, `insecure = ${insecure}`, ''],
        ].join('\n')
      await expectRefused(await apply(toml(third), { registries: registries(false) }), /docker/)
      expect(await apply(toml(third), { registries: registries(true) })).toMatchObject({ exitCode: 0 })
      expect(await gateway.succeed(`${asAccount} systemctl --user is-active third`)).toBe('active\n')
      expect(await running()).toEqual(before)
    },
  )

  test('the registry is away: a change that needs it says so and goes back; what is there starts without it', async () => {
    await registry.stop()
    await mirror.stop()
    expect(await apply(toml())).toMatchObject({ exitCode: 0 })
    const before = await running()
    await expectRefused(await apply(toml({ image: `${registry.host}/other:1` })), /connection refused/)
    expect(await running()).toEqual(before)
    // As at a start of the device: the image lies on /data, and nobody is asked.
    await gateway.succeed('systemctl restart host', { timeoutMs: 300_000 })
    expect(await gateway.succeed('systemctl is-active host')).toBe('active\n')
    expect(await gateway.failedUnits()).toEqual([])
  })

  test.each(thoroughly)(
    'who wants the newest at each start cannot have it while the registry is away',
    async () => {
      const third = { image: `${registry.host}/app:1`, more: 'Pull = "always"\n' }
      await expectRefused(await apply(toml(third)), /connection refused/)
    },
  )
})
