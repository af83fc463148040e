import type { Module } from '@atomixos/image/definition/words.ts'

/**
 * The rules before and without any configuration: nothing is forwarded, WAN gets in nowhere, the LAN reaches the
 * platform's own services. Loaded before the network comes up; what the operator opens is added by the device.
 */
export const firewall: Module = {
  name: 'firewall',
  packages: ['nftables'],
  enable: ['nftables.service'],
  files: {
    '/etc/nftables.conf': {
      replaces: 'nftables',
      mode: 0o644,
      body: `#!/usr/sbin/nft -f
# Only our own table is replaced: containers have theirs.
table inet atomixos
delete table inet atomixos
table inet atomixos {
  chain input {
    type filter hook input priority filter; policy drop;
    ct state established,related accept
    ct state invalid drop
    iifname "lo" accept
    iifname "eth1" icmp type echo-request limit rate 20/second accept
    iifname "eth1" udp dport { 53, 67, 68, 123 } accept
    iifname "eth1" tcp dport { 22, 53, 8080 } accept
    iifname "tun0" tcp dport 22 accept
  }
  chain forward {
    type filter hook forward priority filter; policy drop;
  }
}
`,
    },
    // A ruleset that does not load must be seen: no network without a firewall.
    '/usr/lib/systemd/system/systemd-networkd.service.d/10-firewall.conf': {
      body: '[Unit]\nRequires=nftables.service\nAfter=nftables.service\n',
    },
  },
}
