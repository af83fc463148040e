import { builtInPaths, networkDefaults, renderFirewall } from '@atomixos/config'
import type { Module } from '@atomixos/image/definition/words.ts'

/**
 * The rules before and without any configuration, loaded before the network comes up. What an operator says becomes
 * the same rule set with other ports in it, and takes its place in one transaction.
 */
export const firewall: Module = {
  name: 'firewall',
  packages: ['nftables'],
  enable: ['nftables.service'],
  files: {
    [builtInPaths.firewall]: { replaces: 'nftables', body: renderFirewall(networkDefaults) },
    // A ruleset that does not load must be seen: no network without a firewall.
    '/usr/lib/systemd/system/systemd-networkd.service.d/10-firewall.conf': {
      body: '[Unit]\nRequires=nftables.service\nAfter=nftables.service\n',
    },
    // The kernel would take 8,192 connections on a board with 1 GiB of memory. It takes eight for each bucket given here.
    '/usr/lib/modprobe.d/connection-table.conf': { body: 'options nf_conntrack hashsize=8192\n' },
    // Debian's unit flushes all rules when it is stopped or restarted: the network would be open for that long.
    '/usr/lib/systemd/system/nftables.service.d/10-device.conf': { body: '[Service]\nExecStop=\n' },
  },
}
