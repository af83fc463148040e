import { lanDefaults, wanInterface } from '../lan.ts'
import type { Parsed } from '../problem.ts'
import {
  contains,
  formatIpv4,
  formatIpv4Cidr,
  type Ipv4Cidr,
  isHostAddress,
  overlap,
  parseIpv4,
  parseIpv4Cidr,
} from './ipv4.ts'
import { isDnsName, isIpAddress } from './names.ts'
import {
  isObject,
  join,
  parseFile,
  type Report,
  readList,
  readObject,
  readString,
  shown,
} from './read-json.ts'

interface InterfaceCommon {
  readonly gateway?: string
  readonly dnsServers: readonly string[]
  readonly dnsSearchDomains: readonly string[]
}

export type InterfaceSettings = InterfaceCommon &
  ({ readonly mode: 'dhcp' } | { readonly mode: 'static'; readonly address: string })

/** The gateway's own way to the networks outside: everything but the LAN, which has settings of its own. */
export interface HostNetworkSettings {
  readonly dnsServers: readonly string[]
  readonly dnsSearchDomains: readonly string[]
  readonly ntpServers: readonly string[]
  /** By name; eth0 is always there, eth1 never. */
  readonly interfaces: Readonly<Record<string, InterfaceSettings>>
}

const dhcp: InterfaceSettings = { mode: 'dhcp', dnsServers: [], dnsSearchDomains: [] }

export const hostNetworkDefaults: HostNetworkSettings = {
  dnsServers: [],
  dnsSearchDomains: [],
  ntpServers: ['time.cloudflare.com'],
  interfaces: { [wanInterface]: dhcp },
}

const keys = ['dns_servers', 'dns_search_domains', 'default_gateway', 'interfaces', 'ntp'] as const
const interfaceKeys = ['mode', 'address', 'gateway', 'dns_servers', 'dns_search_domains'] as const
/** Of any list here. */
const entriesMax = 32

/** `host-network.json`: the keys of `[network]` by the same names, without `dnsmasq`, `firewall` and `eth1`. */
export function parseHostNetwork(fileName: string, text: string): Parsed<HostNetworkSettings> {
  return parseFile(fileName, text, hostNetworkDefaults, (value, report) => {
    const file = readObject(value, '', keys, report)
    if (file === undefined) return undefined
    const interfaces = readInterfaces(file.interfaces, report)
    const defaultGateway = readGateway(file.default_gateway, 'default_gateway', report)
    const wan = interfaces[wanInterface] ?? dhcp
    if (defaultGateway !== undefined && wan.gateway !== undefined && defaultGateway !== wan.gateway) {
      report(
        'default_gateway',
        `${defaultGateway} is not the gateway ${wan.gateway} of ${wanInterface}`,
        'give one of them',
      )
    }
    const withGateway = defaultGateway === undefined ? wan : { ...wan, gateway: defaultGateway }
    const all = { [wanInterface]: withGateway, ...without(interfaces, wanInterface) }
    for (const [name, settings] of Object.entries(all)) checkGateway(name, settings, report)
    checkOverlaps(all, report)
    const ntp = file.ntp === undefined ? undefined : readObject(file.ntp, 'ntp', ['servers'], report)
    return {
      dnsServers: readServers(file.dns_servers, 'dns_servers', report),
      dnsSearchDomains: readDomains(file.dns_search_domains, 'dns_search_domains', report),
      ntpServers:
        ntp?.servers === undefined
          ? hostNetworkDefaults.ntpServers
          : readList(
              ntp.servers,
              'ntp.servers',
              entriesMax,
              (item, path) =>
                readString(
                  item,
                  path,
                  (text) => isDnsName(text) || isIpAddress(text),
                  'a host name or an IP address',
                  report,
                ),
              report,
            ),
      interfaces: all,
    }
  })
}

function readInterfaces(value: unknown, report: Report): Record<string, InterfaceSettings> {
  if (value === undefined) return {}
  if (!isObject(value)) {
    report('interfaces', `${shown(value)} is not an object`)
    return {}
  }
  const found: Record<string, InterfaceSettings> = {}
  for (const [name, settings] of Object.entries(value)) {
    const path = join('interfaces', name)
    if (name === lanDefaults.interface) {
      report(path, 'it is the LAN', 'its address is gateway_cidr in lan-settings.json')
    } else if (!/^eth(0|[1-9]\d{0,2})$/.test(name)) {
      report(path, 'there is no such interface', 'they are called eth0, eth1, eth2...')
    } else {
      const read = readInterface(settings, path, report)
      if (read !== undefined) found[name] = read
    }
  }
  return found
}

function readInterface(value: unknown, path: string, report: Report): InterfaceSettings | undefined {
  const settings = readObject(value, path, interfaceKeys, report)
  if (settings === undefined) return undefined
  const gateway = readGateway(settings.gateway, join(path, 'gateway'), report)
  const common: InterfaceCommon = {
    ...(gateway !== undefined && { gateway }),
    dnsServers: readServers(settings.dns_servers, join(path, 'dns_servers'), report),
    dnsSearchDomains: readDomains(settings.dns_search_domains, join(path, 'dns_search_domains'), report),
  }
  if (settings.mode === 'dhcp') {
    if (settings.address !== undefined) {
      report(join(path, 'address'), 'an interface with DHCP has none', 'leave it out, or say mode "static"')
    }
    return { mode: 'dhcp', ...common }
  }
  if (settings.mode !== 'static') {
    report(join(path, 'mode'), `${shown(settings.mode)} is not a mode`, 'allowed: "dhcp", "static"')
    return undefined
  }
  const address = typeof settings.address === 'string' ? parseIpv4Cidr(settings.address) : undefined
  if (address === undefined) {
    report(
      join(path, 'address'),
      `${shown(settings.address)} is not an IPv4 address with prefix length`,
      'for example "192.0.2.7/24"',
    )
    return undefined
  }
  if (address.prefix < 8 || !isHostAddress(address.address, address.prefix)) {
    report(join(path, 'address'), `${shown(settings.address)} is not an address that a machine can have`)
    return undefined
  }
  return { mode: 'static', address: formatIpv4Cidr(address), ...common }
}

function readGateway(value: unknown, path: string, report: Report): string | undefined {
  if (value === undefined) return undefined
  const address = typeof value === 'string' ? parseIpv4(value) : undefined
  if (address !== undefined && isHostAddress(address, 32)) return formatIpv4(address)
  report(path, `${shown(value)} is not the IPv4 address of a gateway`)
  return undefined
}

function readServers(value: unknown, path: string, report: Report): string[] {
  const read = (item: unknown, itemPath: string) =>
    readString(item, itemPath, isIpAddress, 'an IP address', report)
  return readList(value, path, entriesMax, read, report)
}

function readDomains(value: unknown, path: string, report: Report): string[] {
  const read = (item: unknown, itemPath: string) =>
    readString(item, itemPath, isDnsName, 'a domain name', report)
  return readList(value, path, entriesMax, read, report)
}

/** With an address of its own an interface reaches its gateway in its network; a single address needs no network. */
function checkGateway(name: string, settings: InterfaceSettings, report: Report): void {
  if (settings.mode !== 'static' || settings.gateway === undefined) return
  const cidr = parseIpv4Cidr(settings.address)!
  const gateway = parseIpv4(settings.gateway)!
  const path = join(join('interfaces', name), 'gateway')
  if (gateway === cidr.address) report(path, `${settings.gateway} is the interface's own address`)
  else if (cidr.prefix < 32 && (!contains(cidr, gateway) || !isHostAddress(gateway, cidr.prefix))) {
    report(path, `${settings.gateway} is not a machine in the network of ${settings.address}`)
  }
}

function checkOverlaps(interfaces: Readonly<Record<string, InterfaceSettings>>, report: Report): void {
  const networks = staticNetworks(interfaces)
  for (const [index, [name, cidr]] of networks.entries()) {
    for (const [other, otherCidr] of networks.slice(0, index)) {
      if (overlap(cidr, otherCidr)) {
        report(
          join(join('interfaces', name), 'address'),
          `${formatIpv4Cidr(cidr)} and ${formatIpv4Cidr(otherCidr)} of ${other} share addresses`,
          'give each interface a network of its own',
        )
      }
    }
  }
}

/** Interfaces with an address of their own. */
export function staticNetworks(
  interfaces: Readonly<Record<string, InterfaceSettings>>,
): (readonly [string, Ipv4Cidr])[] {
  return Object.entries(interfaces).flatMap(([name, settings]) =>
    settings.mode === 'static' ? [[name, parseIpv4Cidr(settings.address)!] as const] : [],
  )
}

function without<T>(record: Readonly<Record<string, T>>, name: string): Record<string, T> {
  return Object.fromEntries(Object.entries(record).filter(([key]) => key !== name))
}
