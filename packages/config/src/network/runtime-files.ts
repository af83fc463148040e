import { type NetworkSettings, networkDefaults } from './network-settings.ts'
import { renderFirewall } from './render-firewall.ts'
import { renderNetworkd, renderResolved } from './render-host.ts'
import { lanNamePatternFile, renderChrony, renderDnsmasq, renderNamePattern } from './render-lan.ts'

/** What the device renders of an operator's settings. In memory: each start makes it again from /data/config. */
export const networkRuntimeFolder = '/run/atomixos/network'

/** Of systemd-networkd: a file here takes the place of the image's file of the same name. */
export const networkdRuntimeFolder = '/run/systemd/network'

export const runtimePaths = {
  firewall: `${networkRuntimeFolder}/nftables.conf`,
  dnsmasq: `${networkRuntimeFolder}/dnsmasq.conf`,
  namePattern: `${networkRuntimeFolder}/${lanNamePatternFile}`,
  chrony: `${networkRuntimeFolder}/chrony.conf`,
  resolved: '/run/systemd/resolved.conf.d/20-operator.conf',
} as const

/** The image's files, for as long as there is none of those above. */
export const builtInPaths = {
  firewall: '/etc/nftables.conf',
  dnsmasq: '/etc/dnsmasq.conf',
  chrony: '/etc/chrony/chrony.conf',
} as const

/** Whether a file of systemd-networkd's folder is one that settings are rendered into. */
export function isRenderedNetworkFile(name: string): boolean {
  return /^(10-wan|20-lan|30-eth\d+)\.network$/.test(name)
}

/** Path to text of all that has to be there for these settings; what the image has built in is left out. */
export function renderRuntimeFiles(settings: NetworkSettings): ReadonlyMap<string, string> {
  const builtIn = renderAll(networkDefaults)
  return new Map([...renderAll(settings)].filter(([path, text]) => builtIn.get(path) !== text))
}

function renderAll(settings: NetworkSettings): ReadonlyMap<string, string> {
  const { lan, host } = settings
  const files: [string, string | undefined][] = [
    [runtimePaths.firewall, renderFirewall(settings)],
    [runtimePaths.dnsmasq, renderDnsmasq(lan)],
    [runtimePaths.namePattern, renderNamePattern(lan)],
    [runtimePaths.chrony, renderChrony(lan, host.ntpServers)],
    [runtimePaths.resolved, renderResolved(host)],
    ...Object.entries(renderNetworkd(lan, host)).map(([name, text]): [string, string] => [
      `${networkdRuntimeFolder}/${name}`,
      text,
    ]),
  ]
  return new Map(files.filter((entry): entry is [string, string] => entry[1] !== undefined))
}
