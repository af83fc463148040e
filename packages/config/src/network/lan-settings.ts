import { lanDefaults } from '../lan.ts'
import type { Parsed } from '../problem.ts'
import {
  broadcastAddress,
  contains,
  formatIpv4,
  formatIpv4Cidr,
  isHostAddress,
  networkAddress,
  parseIpv4,
  parseIpv4Cidr,
} from './ipv4.ts'
import { isDnsName } from './names.ts'
import { parseFile, readList, readObject, readString, shown } from './read-json.ts'

/** The network behind the gateway. */
export interface LanSettings {
  /** The gateway's own address with prefix length. */
  readonly gatewayCidr: string
  readonly dhcpStart: string
  readonly dhcpEnd: string
  readonly domain: string
  /** Name of each machine after its hardware address: `{mac}` stands for 12 hexadecimal digits. */
  readonly hostnamePattern?: string
  /** Further names of the gateway. */
  readonly gatewayAliases: readonly string[]
}

const keys = [
  'gateway_cidr',
  'dhcp_start',
  'dhcp_end',
  'domain',
  'hostname_pattern',
  'gateway_aliases',
] as const

/** `lan-settings.json`: the keys of `[network.dnsmasq]` by the same names, those that are not there at their defaults. */
export function parseLanSettings(fileName: string, text: string): Parsed<LanSettings> {
  return parseFile<LanSettings>(fileName, text, lanDefaults, (value, report) => {
    const file = readObject(value, '', keys, report)
    if (file === undefined) return undefined

    const gatewayText = file.gateway_cidr ?? lanDefaults.gatewayCidr
    const gateway = typeof gatewayText === 'string' ? parseIpv4Cidr(gatewayText) : undefined
    if (gateway === undefined) {
      report(
        'gateway_cidr',
        `${shown(gatewayText)} is not an IPv4 address with prefix length`,
        'for example "172.20.30.1/24"',
      )
    } else if (gateway.prefix < 16 || gateway.prefix > 30) {
      report('gateway_cidr', `the prefix length is ${gateway.prefix}`, 'it is between 16 and 30')
    } else if (!isHostAddress(gateway.address, gateway.prefix)) {
      report('gateway_cidr', `${shown(gatewayText)} is not an address that a machine can have`)
    }

    const readAddress = (key: 'dhcp_start' | 'dhcp_end', preset: string) => {
      const found = file[key] ?? preset
      const address = typeof found === 'string' ? parseIpv4(found) : undefined
      if (address === undefined) report(key, `${shown(found)} is not an IPv4 address`)
      else if (
        gateway !== undefined &&
        (!contains(gateway, address) ||
          address === networkAddress(gateway) ||
          address === broadcastAddress(gateway))
      ) {
        const first = formatIpv4(networkAddress(gateway) + 1)
        const last = formatIpv4(broadcastAddress(gateway) - 1)
        report(key, `${formatIpv4(address)} is not in the LAN`, `the LAN is ${first} to ${last}`)
      }
      return address
    }
    const start = readAddress('dhcp_start', lanDefaults.dhcpStart)
    const end = readAddress('dhcp_end', lanDefaults.dhcpEnd)
    if (start !== undefined && end !== undefined) {
      if (start > end) report('dhcp_end', 'the range ends before it starts')
      else if (gateway !== undefined && gateway.address >= start && gateway.address <= end) {
        report('dhcp_start', "the range holds the gateway's own address", 'start behind it, or end before it')
      }
    }

    const domain = readString(file.domain ?? lanDefaults.domain, 'domain', isDnsName, 'a domain name', report)
    const hostnamePattern =
      file.hostname_pattern === undefined
        ? undefined
        : readString(
            file.hostname_pattern,
            'hostname_pattern',
            isHostnamePattern,
            'a DNS name with {mac} in it, such as "machine-{mac}"',
            report,
          )
    const gatewayAliases =
      file.gateway_aliases === undefined
        ? lanDefaults.gatewayAliases
        : readList(
            file.gateway_aliases,
            'gateway_aliases',
            64,
            (item, path) => readString(item, path, isDnsName, 'a DNS name', report),
            report,
          )
    if (gateway === undefined || start === undefined || end === undefined || domain === undefined) {
      return undefined
    }
    return {
      gatewayCidr: formatIpv4Cidr(gateway),
      dhcpStart: formatIpv4(start),
      dhcpEnd: formatIpv4(end),
      domain,
      ...(hostnamePattern !== undefined && { hostnamePattern }),
      gatewayAliases,
    }
  })
}

function isHostnamePattern(text: string): boolean {
  return text.includes('{mac}') && isDnsName(text.replaceAll('{mac}', '0a1b2c3d4e5f'))
}
