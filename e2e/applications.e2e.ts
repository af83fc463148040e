/** The example of docs/applications.md, packed and applied: the WAN reaches an application by the proxy's password alone. */
import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import type { LabHost, Machine } from '@atomixos/machine'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { asAccount } from './account-command.ts'
import { providerAddress } from './gateway-network.ts'
import { lanAddress, lanMachine, machineAddress, wanAddressOf } from './operator-network.ts'
import { scanTcp } from './port-scan.ts'
import { type ProvisionedGateway, provisionedGateway } from './provisioned.ts'
import { exampleBundlePath, storyDir } from './setup.ts'
import { createUpdateServer } from './update-server.ts'

const bundlePath = '/data/proxy.tar.zst'
const proxyPort = 8443
const appPort = 8081

describe('applications', () => {
  let device: ProvisionedGateway
  let gateway: Machine
  let machine: LabHost
  let wanAddress: string

  beforeAll(async () => {
    device = await provisionedGateway(join(await storyDir('applications'), 'device'))
    gateway = device.gateway
    machine = await lanMachine(device.network)
    wanAddress = await wanAddressOf(gateway)
    await using server = await createUpdateServer(device.network)
    server.answer = (_, response) => createReadStream(exampleBundlePath('proxy')).pipe(response)
    await gateway.succeed(`curl -sSfk -o ${bundlePath} ${server.url}/proxy`, { timeoutMs: 300_000 })
  })
  afterAll(async () => {
    await device?.[Symbol.asyncDispose]()
  })

  /** Status and body; a password is hashed on an emulated processor, so each answer may take a while. */
  async function ask(
    host: LabHost,
    address: string,
    user?: string,
  ): Promise<{ status: number; body: string }> {
    const said = await host.succeed(
      [
        ...['curl', '-sSk', '--max-time', '120', '-w', '\\n%{http_code}'],
        ...(user === undefined ? [] : ['--user', user]),
        `https://${address}:${proxyPort}/`,
      ],
      { timeoutMs: 180_000 },
    )
    const end = said.lastIndexOf('\n')
    return { status: Number(said.slice(end + 1)), body: said.slice(0, end) }
  }

  const fromWan = () => scanTcp(device.network.provider, { address: wanAddress, from: providerAddress })

  test('nothing is open before', async () => {
    expect(await fromWan()).toEqual({ open: [], refused: [] })
  })

  test('the bundle is applied: images come out of it, and both containers run', async () => {
    await gateway.succeed(`atomixctl config apply ${bundlePath}`, { timeoutMs: 900_000 })
    await gateway.succeed('systemctl is-active proxy.service')
    await gateway.succeed(`${asAccount} systemctl --user is-active web.service`, { timeoutMs: 60_000 })
    // Named by the configuration, and in no registry.
    const images = await gateway.succeed('podman image ls --format "{{.Repository}}:{{.Tag}}"', {
      timeoutMs: 120_000,
    })
    expect(images).toContain('localhost/caddy:2')
    expect(images).not.toContain('localhost/busybox:1')
  })

  test('it listens, which takes certificates of its own', async () => {
    await gateway.waitUntilSucceeds(`ss -Hltn 'sport = :${proxyPort}' | grep -q .`, { timeoutMs: 300_000 })
    await gateway.waitUntilSucceeds(`ss -Hltn 'sport = :${appPort}' | grep -q 127.0.0.1`, {
      timeoutMs: 300_000,
    })
    // Until the certificate is there, nobody gets as far as an answer.
    await device.network.provider.waitUntilSucceeds(
      ['curl', '-sk', '--max-time', '30', '-o', '/dev/null', `https://${wanAddress}:${proxyPort}/`],
      { timeoutMs: 300_000 },
    )
  })

  test('from the WAN: nothing without the password, the page with it', async () => {
    const { provider } = device.network
    const nobody = await ask(provider, wanAddress)
    expect(nobody.status).toBe(401)
    expect(nobody.body).not.toContain('application')
    expect((await ask(provider, wanAddress, 'operator:guess')).status).toBe(401)
    expect((await ask(provider, wanAddress, 'root:change-me')).status).toBe(401)
    const known = await ask(provider, wanAddress, 'operator:change-me')
    expect(known.status).toBe(200)
    expect(known.body).toContain('<h1>The application behind the proxy</h1>')
  })

  test('a machine of the LAN meets the same proxy', async () => {
    expect((await ask(machine, lanAddress)).status).toBe(401)
    expect((await ask(machine, lanAddress, 'operator:change-me')).status).toBe(200)
  })

  test('one port of the WAN is open, and the application has none, on either side', async () => {
    expect(await fromWan()).toEqual({ open: [proxyPort], refused: [] })
    const ports = `8070-8079,8081-8090,${proxyPort}`
    const fromLan = await scanTcp(machine, { address: lanAddress, from: machineAddress, ports })
    expect(fromLan.open).toEqual([proxyPort])
  })

  test('neither of them has a right on the device', async () => {
    const rights = async (program: string) => {
      const status = await gateway.succeed(`cat /proc/$(pgrep -o -f '^${program} ')/status`)
      const uid = Number(/^Uid:\s+(\d+)/m.exec(status)![1])
      return {
        uid,
        capabilities: /^CapEff:\s+(\w+)/m.exec(status)![1],
        more: /^NoNewPrivs:\s+(\d)/m.exec(status)![1],
      }
    }
    const none = { capabilities: '0000000000000000', more: '1' }
    expect(await rights('/usr/bin/caddy')).toEqual({ uid: 1000, ...none })
    const web = await rights('/usr/bin/httpd')
    expect(web).toMatchObject(none)
    // One of the range that belongs to appsvc.
    expect(web.uid).toBeGreaterThan(100_000)
    expect(await gateway.failedUnits()).toEqual([])
  })
})
