import type { LanSettings } from './network/lan-settings.ts'

/** The LAN as long as the operator says nothing else. The contract's defaults. */
export const lanDefaults = {
  interface: 'eth1',
  gatewayCidr: '172.20.30.1/24',
  dhcpStart: '172.20.30.10',
  dhcpEnd: '172.20.30.254',
  domain: 'local',
  gatewayAliases: ['atomixos'],
} as const satisfies LanSettings & { interface: string }

/** WAN, DHCP. */
export const wanInterface = 'eth0'
