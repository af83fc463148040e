import { lanDefaults, wanInterface } from '../lan.ts'
import { firewallInboundPath, hostNetworkPath, lanSettingsPath } from '../operator-files.ts'
import type { Problem } from '../problem.ts'
import {
  type FirewallSettings,
  firewallClosed,
  firewallDefaults,
  parseFirewallSettings,
  sshPort,
} from './firewall-settings.ts'
import {
  type HostNetworkSettings,
  hostNetworkDefaults,
  parseHostNetwork,
  staticNetworks,
} from './host-network.ts'
import { formatIpv4Cidr, overlap, parseIpv4Cidr } from './ipv4.ts'
import { type LanSettings, parseLanSettings } from './lan-settings.ts'

/** All that networks and firewall are made of. */
export interface NetworkSettings {
  readonly lan: LanSettings
  readonly firewall: FirewallSettings
  readonly host: HostNetworkSettings
  readonly sshOnWan: boolean
}

/** The operator said nothing: what the image has built in. */
export const networkDefaults: NetworkSettings = {
  lan: lanDefaults,
  firewall: firewallDefaults,
  host: hostNetworkDefaults,
  sshOnWan: false,
}

/** Contents of the files of the configuration; undefined where one is not there. */
export interface NetworkFiles {
  readonly lan: string | undefined
  readonly firewall: string | undefined
  readonly host: string | undefined
  readonly sshOnWan: boolean
}

export interface ParsedNetwork {
  readonly settings: NetworkSettings
  /** For each file with one its safe settings hold. */
  readonly problems: readonly Problem[]
  /** Allowed, and perhaps not what was meant. */
  readonly remarks: readonly string[]
}

/** Each file is taken whole or not at all; those that contradict each other are not taken either. */
export function parseNetworkFiles(files: NetworkFiles): ParsedNetwork {
  const lan =
    files.lan === undefined ? nothing(lanDefaults) : parseLanSettings(baseName(lanSettingsPath), files.lan)
  const firewall =
    files.firewall === undefined
      ? nothing(firewallDefaults)
      : parseFirewallSettings(baseName(firewallInboundPath), files.firewall)
  const host =
    files.host === undefined
      ? nothing(hostNetworkDefaults)
      : parseHostNetwork(baseName(hostNetworkPath), files.host)
  const contradictions = sharedAddresses(lan.settings, host.settings)
  return {
    settings: {
      lan: lan.settings,
      firewall: firewall.settings,
      host: contradictions.length === 0 ? host.settings : hostNetworkDefaults,
      sshOnWan: files.sshOnWan,
    },
    problems: [...lan.problems, ...firewall.problems, ...host.problems, ...contradictions],
    remarks:
      firewall.settings.wan.tcp.includes(sshPort) && !files.sshOnWan
        ? [
            `${baseName(firewallInboundPath)}: wan.tcp: port ${sshPort} stays closed; ` +
              'SSH on the WAN is opened by ssh-wan-enabled alone',
          ]
        : [],
  }
}

/** The settings with one part at its safe values, for when what was rendered from it is not accepted. */
export function withSafe(
  settings: NetworkSettings,
  part: Exclude<keyof NetworkSettings, 'sshOnWan'>,
): NetworkSettings {
  switch (part) {
    case 'lan':
      return { ...settings, lan: lanDefaults }
    case 'firewall':
      return { ...settings, firewall: firewallClosed, sshOnWan: false }
    case 'host':
      return { ...settings, host: hostNetworkDefaults }
  }
}

/** Two networks with the same addresses cannot be told apart, nor kept apart. */
function sharedAddresses(lan: LanSettings, host: HostNetworkSettings): Problem[] {
  const lanCidr = parseIpv4Cidr(lan.gatewayCidr)!
  return staticNetworks(host.interfaces)
    .filter(([, cidr]) => overlap(cidr, lanCidr))
    .map(([name, cidr]) => ({
      path: `${baseName(hostNetworkPath)}: interfaces.${name}.address`,
      message: `${formatIpv4Cidr(cidr)} and the LAN ${lan.gatewayCidr} share addresses`,
      hint: name === wanInterface ? 'give the LAN another gateway_cidr' : 'give it a network of its own',
    }))
}

function nothing<T>(settings: T): { settings: T; problems: readonly Problem[] } {
  return { settings, problems: [] }
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}
