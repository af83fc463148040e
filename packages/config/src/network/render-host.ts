import { lanDefaults, wanInterface } from '../lan.ts'
import type { HostNetworkSettings, InterfaceSettings } from './host-network.ts'
import type { LanSettings } from './lan-settings.ts'

/** Files of systemd-networkd by name: one for the WAN, one for the LAN, one for each further interface. */
export function renderNetworkd(
  lan: LanSettings,
  host: HostNetworkSettings,
): Readonly<Record<string, string>> {
  return {
    ...Object.fromEntries(
      Object.entries(host.interfaces).map(([name, settings]) => [
        networkFileName(name),
        renderInterface(name, settings, host.dnsServers.length > 0),
      ]),
    ),
    [networkFileName(lanDefaults.interface)]: sections({
      Match: [`Name=${lanDefaults.interface}`],
      Link: ['RequiredForOnline=no'],
      Network: [
        `Address=${lan.gatewayCidr}`,
        'ConfigureWithoutCarrier=yes',
        'LinkLocalAddressing=no',
        'IPv6AcceptRA=no',
        'LLDP=no',
      ],
    }),
  }
}

/** Settings of systemd-resolved, for servers that belong to no interface. */
export function renderResolved({ dnsServers, dnsSearchDomains }: HostNetworkSettings): string | undefined {
  if (dnsServers.length + dnsSearchDomains.length === 0) return undefined
  return sections({
    Resolve: [
      ...dnsServers.map((server) => `DNS=${server}`),
      ...(dnsSearchDomains.length > 0 ? [`Domains=${dnsSearchDomains.join(' ')}`] : []),
    ],
  })
}

export function networkFileName(interfaceName: string): string {
  if (interfaceName === wanInterface) return '10-wan.network'
  if (interfaceName === lanDefaults.interface) return '20-lan.network'
  return `30-${interfaceName}.network`
}

function renderInterface(name: string, settings: InterfaceSettings, globalServers: boolean): string {
  const { mode, gateway, dnsServers, dnsSearchDomains } = settings
  // The WAN's way out comes first; others are there for when it has none.
  const metric = name === wanInterface ? undefined : 2048 + Number(name.slice('eth'.length))
  // The operator's servers are used instead of those that DHCP tells of, not beside them.
  const ownServers = globalServers || dnsServers.length > 0
  // DHCP may give any network: a gateway that is said is reached on this interface whatever the address will be.
  const onLink = mode === 'dhcp' || settings.address.endsWith('/32')
  return sections({
    Match: [`Name=${name}`],
    Link: ['RequiredForOnline=no'],
    Network: [
      mode === 'dhcp' ? 'DHCP=ipv4' : `Address=${settings.address}`,
      ...dnsServers.map((server) => `DNS=${server}`),
      ...(dnsSearchDomains.length > 0 ? [`Domains=${dnsSearchDomains.join(' ')}`] : []),
      'LinkLocalAddressing=no',
      'IPv6AcceptRA=no',
      'LLDP=no',
      'EmitLLDP=no',
    ],
    Route:
      gateway === undefined
        ? []
        : [
            `Gateway=${gateway}`,
            ...(onLink ? ['GatewayOnLink=yes'] : []),
            ...(metric === undefined ? [] : [`Metric=${metric}`]),
          ],
    DHCPv4:
      mode === 'static'
        ? []
        : [
            'ClientIdentifier=mac',
            'UseHostname=no',
            'UseTimezone=no',
            ...(ownServers ? ['UseDNS=no'] : []),
            ...(gateway === undefined ? [] : ['UseGateway=no']),
            ...(metric === undefined ? [] : [`RouteMetric=${metric}`]),
          ],
  })
}

function sections(content: Readonly<Record<string, readonly string[]>>): string {
  return Object.entries(content)
    .filter(([, directives]) => directives.length > 0)
    .map(([name, directives]) => `[${name}]\n${directives.map((line) => `${line}\n`).join('')}`)
    .join('\n')
}
