import { type NetworkFiles, parseNetworkFiles } from '@atomixos/config'
import { type OperatorConfig, renderConfig } from '@atomixos/config/operator/index.ts'
import type { JobSource } from './job.ts'

/** How long somebody has to say that the device is still reached, when nothing else was said. */
export const confirmDefaultS = 300

/**
 * What of a change may lock out who made it, in words; nothing when there is nothing of the kind. What holds is compared, not
 * what was written. Pure.
 */
export function riskyChanges(before: OperatorConfig, after: OperatorConfig): string[] {
  const [old, now] = [reached(before), reached(after)]
  return (Object.keys(old) as (keyof typeof old)[]).filter((part) => old[part] !== now[part])
}

function reached(config: OperatorConfig): Readonly<Record<'addresses' | 'firewall' | 'admin keys', string>> {
  const files = renderConfig(config)
  const text = (name: string) => files.get(name)?.content
  const network: NetworkFiles = {
    lan: text('lan-settings.json'),
    firewall: text('firewall-inbound.json'),
    host: text('host-network.json'),
    sshOnWan: false,
  }
  const { lan, firewall, host } = parseNetworkFiles(network).settings
  const interfaces = Object.entries(host.interfaces)
    .map(([name, { mode, gateway, ...settings }]) => [
      name,
      mode,
      'address' in settings ? settings.address : '',
      gateway ?? '',
    ])
    .sort()
  return {
    addresses: JSON.stringify([lan.gatewayCidr, interfaces]),
    firewall: JSON.stringify(firewall),
    'admin keys': (text('admin-signers') ?? '').split('\n').sort().join('\n'),
  }
}

/** Sources that come over the network, by what may be about to change. */
const overNetwork: ReadonlySet<JobSource> = new Set(['api', 'boot-ui'])

/**
 * Seconds within which somebody has to confirm; 0: nobody has to. A device that had no configuration has nothing to go back
 * to. What cannot be read (it came from a newer system) may have been anything. Pure.
 */
export function confirmationS(change: {
  readonly source: JobSource
  /** As it was asked for. */
  readonly confirmS: number | undefined
  readonly before: OperatorConfig | 'unreadable' | undefined
  readonly after: OperatorConfig
}): number {
  const { source, confirmS, before, after } = change
  if (before === undefined) return 0
  if (confirmS !== undefined) return confirmS
  const risky = before === 'unreadable' || riskyChanges(before, after).length > 0
  return overNetwork.has(source) && risky ? confirmDefaultS : 0
}
