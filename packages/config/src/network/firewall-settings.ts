import type { Parsed } from '../problem.ts'
import { parseFile, type Report, readList, readObject, shown } from './read-json.ts'

export interface Ports {
  /** In order, each once. */
  readonly tcp: readonly number[]
  readonly udp: readonly number[]
}

/** What may come in. */
export interface FirewallSettings {
  readonly wan: Ports
  /** `open`: everything. Ports: those, and the platform's own. */
  readonly lan: Ports | 'open'
}

/** The boot UI's and the API's. Never reached from the WAN through a port that the operator lists. */
export const apiPort = 8080
export const sshPort = 22

/** What the LAN may always ask for: names, addresses, the time; SSH, the API. */
export const platformLanPorts = { udp: ['53', '67-68', '123'], tcp: ['22', '53', '8080'] } as const

const noPorts: Ports = { tcp: [], udp: [] }

/** As long as the operator says nothing. */
export const firewallDefaults: FirewallSettings = { wan: noPorts, lan: 'open' }

/**
 * When the operator said something that cannot be understood. The LAN is not open then: it may be just what the file
 * was there to forbid.
 */
export const firewallClosed: FirewallSettings = { wan: noPorts, lan: noPorts }

/** `firewall-inbound.json`: `{ "wan": { "tcp": [443], "udp": [] }, "lan": { "tcp": [443] } }` */
export function parseFirewallSettings(fileName: string, text: string): Parsed<FirewallSettings> {
  return parseFile(fileName, text, firewallClosed, (value, report) => {
    const file = readObject(value, '', ['wan', 'lan'], report)
    if (file === undefined) return undefined
    const wan = file.wan === undefined ? noPorts : readPorts(file.wan, 'wan', report)
    const lan = file.lan === undefined ? noPorts : readPorts(file.lan, 'lan', report)
    if (wan.tcp.includes(apiPort)) {
      report(
        'wan.tcp',
        `port ${apiPort} is reserved`,
        'the API is for the LAN: let a proxy with authentication face the WAN',
      )
    }
    // A scope without ports says nothing.
    return { wan, lan: lan.tcp.length + lan.udp.length === 0 ? 'open' : lan }
  })
}

function readPorts(value: unknown, path: string, report: Report): Ports {
  const scope = readObject(value, path, ['tcp', 'udp'], report)
  if (scope === undefined) return noPorts
  const read = (protocol: 'tcp' | 'udp') =>
    readList(
      scope[protocol],
      `${path}.${protocol}`,
      65_535,
      (item, itemPath) => {
        if (typeof item === 'number' && Number.isInteger(item) && item >= 1 && item <= 65_535) return item
        report(itemPath, `${shown(item)} is not a port`, 'a port is a whole number from 1 to 65535')
        return undefined
      },
      report,
    ).sort((a, b) => a - b)
  return { tcp: read('tcp'), udp: read('udp') }
}
