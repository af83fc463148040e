import { lanDefaults, wanInterface } from '../lan.ts'
import { apiPort, type Ports, platformLanPorts, sshPort } from './firewall-settings.ts'
import { formatIpv4, formatIpv4Cidr, networkAddress, parseIpv4Cidr } from './ipv4.ts'
import type { NetworkSettings } from './network-settings.ts'

/** Of the table that is ours; netavark and others have their own. */
export const firewallTable = { family: 'inet', name: 'atomixos' } as const

/** The set that opens the WAN for the first configuration. */
export const bootUiSet = 'wan_boot_ui'

const lanInterface = lanDefaults.interface
const vpnInterface = 'tun0'

/**
 * The one rule set: of the image, and with other elements in its sets that of an operator. One file for `nft -f`, which
 * takes it as one transaction: until it is done the old rules hold, from then on the new ones. docs/network.md says why
 * each rule is there.
 */
export function renderFirewall({
  lan,
  firewall,
  sshOnWan,
}: Pick<NetworkSettings, 'lan' | 'firewall' | 'sshOnWan'>): string {
  const cidr = parseIpv4Cidr(lan.gatewayCidr)!
  const lanNetwork = formatIpv4Cidr({ address: networkAddress(cidr), prefix: cidr.prefix })
  const wanTcp = firewall.wan.tcp.filter((port) => port !== apiPort && port !== sshPort)
  const lanPorts: Ports = firewall.lan === 'open' ? { tcp: [], udp: [] } : firewall.lan
  return `#!/usr/sbin/nft -f
# AtomixOS: docs/network.md. Only this table is replaced: containers have theirs.
table inet ${firewallTable.name}
delete table inet ${firewallTable.name}
table inet ${firewallTable.name} {
  set wan_tcp {
    type inet_service${elements(wanTcp)}
  }
  set wan_udp {
    type inet_service${elements(firewall.wan.udp)}
  }
  set wan_ssh {
    type inet_service${elements(sshOnWan ? [sshPort] : [])}
  }
  # The boot UI's port, put here by boot-ui-port.service until the device has a configuration. Loaded again it is empty.
  set ${bootUiSet} {
    type inet_service
  }
  set lan_tcp {
    type inet_service${elements(lanPorts.tcp)}
  }
  set lan_udp {
    type inet_service${elements(lanPorts.udp)}
  }
  set wan_sources {
    type ipv4_addr
    size 8192
    flags dynamic,timeout
    timeout 10s
  }
  set lan_sources {
    type ipv4_addr
    size 8192
    flags dynamic,timeout
    timeout 10s
  }

  # Before connections are looked up: what cannot be true.
  chain prerouting {
    type filter hook prerouting priority raw; policy accept;
    iifname "lo" accept
    meta nfproto ipv6 counter drop
    ip option lsrr exists counter drop
    ip option ssrr exists counter drop
    ip saddr 127.0.0.0/8 counter drop
    ip daddr 127.0.0.0/8 counter drop
    iifname != "${lanInterface}" ip saddr ${lanNetwork} counter drop
    iifname "${lanInterface}" ip saddr != { 0.0.0.0, ${lanNetwork} } counter drop
    fib saddr . iif oif missing counter drop
  }

  chain input {
    type filter hook input priority filter; policy drop;
    iifname "lo" accept
    ct state invalid counter drop
    # An address is reached through the interface that has it, and no other.
    fib daddr . iif type != { local, broadcast, multicast } counter drop
    # Answers to the device's own questions. A connection that came in has no such pass: its port must still be open.
    ct state established ct direction reply accept
    ct state related meta l4proto icmp accept
    iifname "${wanInterface}" goto wan
    iifname "${lanInterface}" goto lan
    iifname "${vpnInterface}" tcp dport ${sshPort} accept
    counter drop
  }

  chain wan {
    tcp dport @${bootUiSet} goto wan_open
    tcp dport ${apiPort} counter drop
    tcp dport @wan_tcp goto wan_open
    udp dport @wan_udp goto wan_open
    tcp dport @wan_ssh goto wan_open
    counter drop
  }

  chain wan_open {
    ct state established accept
    tcp flags & (fin | syn | rst | ack) != syn counter drop
    update @wan_sources { ip saddr limit rate over 100/second burst 200 packets } counter drop
    limit rate over 500/second burst 1000 packets counter drop
    accept
  }

  chain lan {
    icmp type echo-request limit rate 20/second accept
    icmp type echo-request counter drop
${
  firewall.lan === 'open'
    ? '    goto lan_open'
    : `    udp dport { ${platformLanPorts.udp.join(', ')} } goto lan_open
    tcp dport { ${platformLanPorts.tcp.join(', ')} } goto lan_open
    tcp dport @lan_tcp goto lan_open
    udp dport @lan_udp goto lan_open
    counter drop`
}
  }

  chain lan_open {
    ct state established accept
    tcp flags & (fin | syn | rst | ack) != syn counter drop
    update @lan_sources { ip saddr limit rate over 100/second burst 200 packets } counter drop
    limit rate over 500/second burst 1000 packets counter drop
    accept
  }

  # First of all that look at forwarded packets, and a drop is final: no chain of another table gets to accept one.
  chain forward {
    type filter hook forward priority raw; policy drop;
    counter drop
  }

  chain output {
    type filter hook output priority filter; policy accept;
    oifname "lo" accept
    meta nfproto ipv6 counter drop
    # Nothing of the LAN, and nothing for it, goes another way; not even when its adapter is missing.
    oifname != "${lanInterface}" ip saddr ${formatIpv4(cidr.address)} counter drop
    oifname != "${lanInterface}" ip daddr ${lanNetwork} counter drop
  }
}
`
}

/** A line for the elements of a set; none for a set without any. */
function elements(ports: readonly number[]): string {
  return ports.length === 0 ? '' : `\n    elements = { ${ports.join(', ')} }`
}
