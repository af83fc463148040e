import { lanDefaults } from '../lan.ts'
import { formatIpv4, netmask, networkAddress, parseIpv4Cidr } from './ipv4.ts'
import type { LanSettings } from './lan-settings.ts'

/** Where the names of machines are noted as they get their addresses; only with a pattern for them. */
export const lanNamesFolder = '/run/atomixos/lan-names'

/** Notes those names: dnsmasq's `dhcp-script`. */
export const lanNameProgram = '/usr/lib/atomixos/lan-name'

/** Has one line, the pattern with its domain; that program reads it. */
export const lanNamePatternFile = 'hostname-pattern'

/** dnsmasq.conf: addresses for the LAN, and the names that the gateway itself knows. Nothing is asked upstream. */
export function renderDnsmasq(lan: LanSettings): string {
  const { address, prefix } = parseIpv4Cidr(lan.gatewayCidr)!
  const gateway = formatIpv4(address)
  return lines([
    `interface=${lanDefaults.interface}`,
    'except-interface=lo',
    'bind-dynamic',
    '# Nothing leaves: no upstream server, no file of names but what stands here.',
    'no-resolv',
    'no-hosts',
    'no-poll',
    `local=/${lan.domain}/`,
    `domain=${lan.domain}`,
    ...lan.gatewayAliases.map((name) => `host-record=${name},${name}.${lan.domain},${gateway}`),
    `dhcp-range=${lan.dhcpStart},${lan.dhcpEnd},${formatIpv4(netmask(prefix))},12h`,
    'dhcp-authoritative',
    '# No default route: there is no way out. The time is served here.',
    'dhcp-option=option:router',
    `dhcp-option=option:ntp-server,${gateway}`,
    '# Of this network: leases of another would bring its names back.',
    `dhcp-leasefile=/var/lib/misc/${formatIpv4(networkAddress({ address, prefix }))}-${prefix}.leases`,
    ...(lan.hostnamePattern === undefined
      ? []
      : [`hostsdir=${lanNamesFolder}`, `dhcp-script=${lanNameProgram}`]),
  ])
}

/** For the program that notes names; undefined when there is no pattern. */
export function renderNamePattern({ hostnamePattern, domain }: LanSettings): string | undefined {
  return hostnamePattern === undefined ? undefined : lines([hostnamePattern, domain])
}

/** chrony.conf: the time from the internet for the gateway, and from the gateway for the LAN. */
export function renderChrony(lan: LanSettings, ntpServers: readonly string[]): string {
  const { address, prefix } = parseIpv4Cidr(lan.gatewayCidr)!
  return lines([
    ...ntpServers.map((server) => `server ${server} iburst`),
    'driftfile /var/lib/chrony/chrony.drift',
    'makestep 1 3',
    'rtcsync',
    'leapseclist /usr/share/zoneinfo/leap-seconds.list',
    '# Its own clock when no server answers: machines of the LAN agree with each other at least.',
    'local stratum 10',
    '# Only on the address of the LAN, only for the LAN. The address may come later.',
    `bindaddress ${formatIpv4(address)}`,
    `allow ${formatIpv4(networkAddress({ address, prefix }))}/${prefix}`,
    'cmdport 0',
  ])
}

function lines(list: readonly string[]): string {
  return list.map((line) => `${line}\n`).join('')
}
