import { lanDefaults } from '../lan.ts'
import { parseNetworkFiles } from '../network/network-settings.ts'
import { firewallInboundPath, hostNetworkPath, lanSettingsPath } from '../operator-files.ts'
import { isTable } from './check-schema.ts'
import type { Findings, Path, Tell } from './places.ts'

/** What is rendered of `[network]`; undefined where the operator said nothing, so that the image's own holds. */
export interface NetworkFileValues {
  readonly lan: Readonly<Record<string, unknown>> | undefined
  readonly firewall: Readonly<Record<string, unknown>> | undefined
  readonly host: Readonly<Record<string, unknown>> | undefined
}

/**
 * From `[network]`, valid or not. The LAN's address may stand in two places; what has one possible value alone, and what
 * has no effect on the LAN's own card, is in no file.
 */
export function networkFileValues(network: unknown): NetworkFileValues {
  if (!isTable(network)) return { lan: undefined, firewall: undefined, host: undefined }
  const { dnsmasq, firewall, interfaces, ...host } = network
  const lanCard = isTable(interfaces) ? interfaces[lanDefaults.interface] : undefined
  const lanAddress = isTable(lanCard) ? lanCard['address'] : undefined
  const { enable: _, interface: __, ...lan } = isTable(dnsmasq) ? dnsmasq : {}
  const withAddress = lanAddress === undefined ? lan : { gateway_cidr: lanAddress, ...lan }
  const cards = isTable(interfaces)
    ? Object.fromEntries(Object.entries(interfaces).filter(([name]) => name !== lanDefaults.interface))
    : interfaces
  const inbound = isTable(firewall) ? firewall['inbound'] : undefined
  const hostKeys = {
    ...host,
    ...(cards !== undefined && (!isTable(cards) || Object.keys(cards).length > 0) && { interfaces: cards }),
  }
  return {
    lan: Object.keys(withAddress).length === 0 ? undefined : withAddress,
    firewall: isTable(inbound) ? inbound : undefined,
    host: Object.keys(hostKeys).length === 0 ? undefined : hostKeys,
  }
}

/**
 * Of `[network]`: what takes more than one key to decide. The device's own parsers look at the very files that would be
 * rendered; what they find is told at the place it comes from. Of what the schema has told already nothing is repeated.
 */
export function checkNetwork(network: unknown, findings: Findings, warn: Tell): void {
  if (!isTable(network)) return
  const { tell } = findings
  checkLanCard(network, tell, warn)
  const values = networkFileValues(network)
  const jsonOf = (value: unknown) => (value === undefined ? undefined : JSON.stringify(shallow(value, 0)))
  const { problems, remarks } = parseNetworkFiles({
    lan: jsonOf(values.lan),
    firewall: jsonOf(values.firewall),
    host: jsonOf(values.host),
    sshOnWan: false,
  })
  const lanAt: Path =
    isTable(network['dnsmasq']) && network['dnsmasq']['gateway_cidr'] !== undefined
      ? ['network', 'dnsmasq', 'gateway_cidr']
      : ['network', 'interfaces', lanDefaults.interface, 'address']
  const fromInterface = lanAt[1] === 'interfaces' && values.lan?.['gateway_cidr'] !== undefined
  for (const { path, message, hint } of problems) {
    const place = placeOf(path)
    if (findings.hasWithin(place)) continue
    tell(fromInterface && place.at(-1) === 'gateway_cidr' ? lanAt : place, message, hint)
  }
  for (const remark of remarks) {
    const [file = '', key = '', ...rest] = remark.split(': ')
    warn(placeOf(`${file}: ${key}`), rest.join(': '))
  }
}

function checkLanCard(network: Readonly<Record<string, unknown>>, tell: Tell, warn: Tell): void {
  const { interfaces, dnsmasq } = network
  const card = isTable(interfaces) ? interfaces[lanDefaults.interface] : undefined
  if (!isTable(card)) return
  const path = ['network', 'interfaces', lanDefaults.interface]
  if (card['mode'] === 'dhcp') {
    tell(
      [...path, 'mode'],
      `${lanDefaults.interface} is the LAN, and its address never changes`,
      'write mode = "static" and an address',
    )
  } else if (card['address'] === undefined) {
    tell(
      [...path, 'address'],
      'it is missing',
      `a static card needs one, for example "${lanDefaults.gatewayCidr}"`,
    )
  }
  const other = isTable(dnsmasq) ? dnsmasq['gateway_cidr'] : undefined
  if (other !== undefined && card['address'] !== undefined && other !== card['address']) {
    tell(
      [...path, 'address'],
      'it is not the gateway_cidr of [network.dnsmasq]',
      'both are the address of the gateway in the LAN: make them equal, or leave one out',
    )
  }
  for (const key of ['gateway', 'dns_servers', 'dns_search_domains']) {
    if (Object.hasOwn(card, key))
      warn([...path, key], 'it has no effect on the LAN', 'nothing is reached through it')
  }
}

const fileTables: Readonly<Record<string, Path>> = {
  [baseName(lanSettingsPath)]: ['network', 'dnsmasq'],
  [baseName(firewallInboundPath)]: ['network', 'firewall', 'inbound'],
  [baseName(hostNetworkPath)]: ['network'],
}

/** `lan-settings.json: gateway_aliases[1]` is at network.dnsmasq.gateway_aliases[1]. */
function placeOf(path: string): Path {
  const [file = '', rest = ''] = path.split(': ')
  const parts = rest.split(/[.[\]]+/).filter((part) => part !== '')
  return [
    ...(fileTables[file] ?? ['network']),
    ...parts.map((part) => (/^\d+$/.test(part) ? Number(part) : part)),
  ]
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}

/** A copy no deeper than any valid one: a hostile file is as deep as it likes, and JSON.stringify takes a stack for it. */
function shallow(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (depth > 6) return null
  if (Array.isArray(value)) return value.map((item) => shallow(item, depth + 1))
  if (!isTable(value)) return null
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, shallow(member, depth + 1)]))
}
