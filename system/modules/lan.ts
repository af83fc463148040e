import { lanDefaults } from '@atomixos/config'
import type { Module } from '@atomixos/image/definition/words.ts'

const [gateway, prefix] = lanDefaults.gatewayCidr.split('/') as [string, string]

/**
 * dnsmasq gives the LAN addresses and the names that the gateway itself knows: nothing is asked upstream. These are
 * the settings for a LAN of which the operator has said nothing.
 */
export const lan: Module = {
  name: 'lan',
  packages: ['dnsmasq-base'],
  users: { dnsmasq: { uid: 108, home: '/var/lib/misc', description: 'DHCP and DNS for the LAN' } },
  directories: { '/var/lib/misc': { owner: 'dnsmasq:dnsmasq' } },
  enable: ['dnsmasq.service'],
  units: {
    'dnsmasq.service': {
      Unit: {
        Description: 'DHCP and DNS for the LAN',
        // It lives and dies with the adapter.
        BindsTo: `sys-subsystem-net-devices-${lanDefaults.interface}.device`,
        After: `sys-subsystem-net-devices-${lanDefaults.interface}.device nftables.service systemd-networkd.service`,
        Requires: 'nftables.service',
      },
      Service: {
        Type: 'exec',
        ExecStart: '/usr/sbin/dnsmasq --keep-in-foreground --conf-file=/etc/dnsmasq.conf --log-facility=-',
        ExecReload: '/usr/bin/kill -HUP $MAINPID',
        Restart: 'always',
        RestartSec: '2s',
        AmbientCapabilities: 'CAP_NET_ADMIN CAP_NET_RAW CAP_NET_BIND_SERVICE',
        CapabilityBoundingSet: 'CAP_NET_ADMIN CAP_NET_RAW CAP_NET_BIND_SERVICE',
        User: 'dnsmasq',
        ProtectSystem: 'strict',
        ReadWritePaths: '/var/lib/misc',
        ProtectHome: true,
        PrivateTmp: true,
        PrivateDevices: true,
        ProtectControlGroups: true,
        ProtectKernelModules: true,
        ProtectKernelTunables: true,
        NoNewPrivileges: true,
        MemoryDenyWriteExecute: true,
        LockPersonality: true,
        RestrictNamespaces: true,
        RestrictRealtime: true,
        RestrictSUIDSGID: true,
        RestrictAddressFamilies: 'AF_UNIX AF_NETLINK AF_INET AF_INET6 AF_PACKET',
      },
      Install: { WantedBy: `sys-subsystem-net-devices-${lanDefaults.interface}.device` },
    },
  },
  files: {
    '/etc/dnsmasq.conf': {
      body: [
        `interface=${lanDefaults.interface}`,
        'except-interface=lo',
        'bind-dynamic',
        '# Nothing leaves: no upstream server, no file of names but what stands here.',
        'no-resolv',
        'no-hosts',
        'no-poll',
        `local=/${lanDefaults.domain}/`,
        `domain=${lanDefaults.domain}`,
        ...lanDefaults.gatewayAliases.map(
          (name) => `host-record=${name},${name}.${lanDefaults.domain},${gateway}`,
        ),
        `dhcp-range=${lanDefaults.dhcpStart},${lanDefaults.dhcpEnd},${netmask(Number(prefix))},12h`,
        'dhcp-authoritative',
        '# No default route: there is no way out. The time is served here.',
        'dhcp-option=option:router',
        `dhcp-option=option:ntp-server,${gateway}`,
        'dhcp-leasefile=/var/lib/misc/dnsmasq.leases',
        '',
      ].join('\n'),
    },
  },
}

function netmask(prefixLength: number): string {
  const mask = (0xffffffff << (32 - prefixLength)) >>> 0
  return [24, 16, 8, 0].map((shift) => (mask >>> shift) & 0xff).join('.')
}
