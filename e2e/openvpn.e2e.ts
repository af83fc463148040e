/** A way in for recovery: a tunnel that the device opens itself, and through which SSH is reached and nothing else. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type LabProcess, type Machine, tapsAllowed, tunDevice } from '@atomixos/machine'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { providerAddress } from './gateway-network.ts'
import { listen, wanAddressOf } from './operator-network.ts'
import { scanTcp } from './port-scan.ts'
import { type ProvisionedGateway, provisionedGateway } from './provisioned.ts'
import { storyDir } from './setup.ts'

const reason = tapsAllowed()
  ? ''
  : ` (skipped: a VPN server needs ${tunDevice}, which only root may open here)`
const serverAddress = '10.99.0.1'
const configurationFolder = '/data/config/openvpn'

describe.skipIf(reason)(`openvpn${reason}`, () => {
  let device: ProvisionedGateway
  let gateway: Machine
  let server: LabProcess

  beforeAll(async () => {
    device = await provisionedGateway(join(await storyDir('openvpn'), 'device'))
    gateway = device.gateway
    const { provider } = device.network
    const [own, client] = [await makeIdentity('server'), await makeIdentity('client')]
    await writeFile(
      join(provider.dir, 'etc/server.conf'),
      configuration([
        'dev tun0',
        'topology subnet',
        `server ${serverAddress.replace(/\d+$/, '0')} 255.255.255.0`,
        `local ${providerAddress}`,
        'dh none',
        'verb 3',
        ...identityLines(own, client.fingerprint),
      ]),
    )
    await provider.succeed(['mkdir', '-p', '/run/openvpn'])
    server = await provider.spawn(['openvpn', '--config', '/etc/server.conf'], { devices: [tunDevice] })
    await server.waitForOutput(/Initialization Sequence Completed/, { timeoutMs: 60_000 })
    await gateway.succeed(`mkdir -p ${configurationFolder}`)
    await gateway.writeFile(
      `${configurationFolder}/client.conf`,
      configuration(['client', `remote ${providerAddress}`, ...identityLines(client, own.fingerprint)]),
    )
  })
  afterAll(async () => {
    await device?.[Symbol.asyncDispose]()
  })

  interface Identity {
    readonly key: string
    readonly certificate: string
    readonly fingerprint: string
  }

  /** A key and a certificate that it signed itself: each end knows the other's fingerprint. */
  async function makeIdentity(name: string): Promise<Identity> {
    const { provider } = device.network
    await provider.succeed([
      ...['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
      ...['-subj', `/CN=${name}`, '-days', '2', '-keyout', `/run/${name}.key`, '-out', `/run/${name}.crt`],
    ])
    const said = await provider.succeed([
      ...['openssl', 'x509', '-in', `/run/${name}.crt`, '-noout', '-fingerprint', '-sha256'],
    ])
    const text = (suffix: string) => readFile(join(provider.dir, `run/${name}.${suffix}`), 'utf8')
    return {
      key: await text('key'),
      certificate: await text('crt'),
      fingerprint: said.trim().replace(/^.*=/, ''),
    }
  }

  function identityLines(own: Identity, peerFingerprint: string): string[] {
    return [
      `<key>\n${own.key}</key>`,
      `<cert>\n${own.certificate}</cert>`,
      `peer-fingerprint ${peerFingerprint}`,
    ]
  }

  function configuration(lines: readonly string[]): string {
    return [...lines, 'proto udp', 'port 1194', 'keepalive 5 30', ''].join('\n')
  }

  const greeting = (address: string) => [
    'sh',
    '-c',
    `timeout 20 socat -u TCP4:${address}:22,connect-timeout=5 - | head -n 1 | grep -q '^SSH-2.0'`,
  ]
  const tunnelAddress = async () =>
    /inet ([\d.]+)/.exec(
      await gateway.waitUntilSucceeds('ip -4 -o address show dev tun0 | grep inet', { timeoutMs: 60_000 }),
    )![1]!

  test('it is not there until somebody starts it', async () => {
    await gateway.fail('ip link show dev tun0')
    expect(await gateway.execute('systemctl is-active openvpn-recovery')).toMatchObject({
      stdout: 'inactive\n',
    })
  })

  test('started, it reaches the server, and SSH answers in the tunnel: nothing else does', async () => {
    await gateway.succeed('systemctl start openvpn-recovery', { timeoutMs: 120_000 })
    const address = await tunnelAddress()
    const { provider } = device.network
    await provider.waitUntilSucceeds(greeting(address), { timeoutMs: 120_000 })
    await listen(gateway, [443])
    const seen = await scanTcp(provider, { address, from: serverAddress, ports: '20-120,440-450,8075-8085' })
    expect(seen).toEqual({ open: [22], refused: [] })
    await provider.fail(['ping', '-c', '2', '-W', '1', address])
  })

  test('the WAN stays closed meanwhile, and the way to the LAN as well', async () => {
    const { provider } = device.network
    await provider.fail(greeting(await wanAddressOf(gateway)))
    await provider.succeed(['ip', 'route', 'replace', '172.20.30.0/24', 'via', await tunnelAddress()])
    await provider.fail(greeting('172.20.30.1'))
    await provider.fail(['ping', '-c', '2', '-W', '1', '172.20.30.1'])
  })

  test('stopped, it is gone', async () => {
    await gateway.succeed('systemctl stop openvpn-recovery', { timeoutMs: 60_000 })
    await gateway.waitUntilSucceeds('! ip link show dev tun0')
    expect(await gateway.failedUnits()).toEqual([])
  })
})
