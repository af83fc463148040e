import { join } from 'node:path'
import { createLab, type Lab, type LabHost, type Nic } from '@atomixos/machine'
import { programs } from './setup.ts'

/** The gateway's two networks with real programs on them: a provider on the WAN, a switch on the LAN side. */
export interface GatewayNetwork extends AsyncDisposable {
  readonly lab: Lab
  /** Gives eth0 its address and resolves names: `updates.test` is this host. */
  readonly provider: LabHost
  /** eth0 and eth1. */
  readonly nics: readonly Nic[]
}

export const providerAddress = '203.0.113.1'
export const updateHostName = 'updates.test'

export const gatewayMac = '52:54:00:a7:00:00'
export const lanMac = '52:54:00:a7:00:01'

export async function createGatewayNetwork(dir: string): Promise<GatewayNetwork> {
  const lab = await createLab({ programs, dir: join(dir, 'net'), deadlineMs: 90 * 60_000 })
  try {
    await lab.bridge('wan')
    await lab.bridge('lan')
    // A copy of a device in the field still knows its neighbours: another address would cost it a minute to find out.
    const provider = await lab.host('provider', {
      wan: { addresses: [`${providerAddress}/24`], mac: '52:54:00:66:00:fe' },
    })
    const dnsmasq = await provider.spawn([
      ...['dnsmasq', '--no-daemon', '--conf-file=/dev/null'],
      ...[
        '--interface=wan',
        '--bind-interfaces',
        '--no-resolv',
        '--no-hosts',
        '--log-dhcp',
        '--dhcp-leasefile=/tmp/leases',
        '--pid-file=/tmp/pid',
      ],
      ...['--dhcp-range=203.0.113.10,203.0.113.99,12h', `--dhcp-option=option:dns-server,${providerAddress}`],
      `--address=/${updateHostName}/${providerAddress}`,
    ])
    await dnsmasq.waitForOutput(/DHCP, IP range/)
    return {
      lab,
      provider,
      nics: [
        { kind: 'bridge', bridge: 'wan', mac: gatewayMac },
        { kind: 'bridge', bridge: 'lan', mac: lanMac },
      ],
      [Symbol.asyncDispose]: () => lab[Symbol.asyncDispose](),
    }
  } catch (error) {
    await lab[Symbol.asyncDispose]()
    throw error
  }
}
