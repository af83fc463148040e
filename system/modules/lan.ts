import {
  builtInPaths,
  lanDefaults,
  lanNameProgram,
  lanNamesFolder,
  renderDnsmasq,
  runtimePaths,
} from '@atomixos/config'
import type { Module } from '@atomixos/image/definition/words.ts'
import { hardening } from './hardening.ts'

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
        ExecStart: `/usr/sbin/dnsmasq --keep-in-foreground --conf-file=${builtInPaths.dnsmasq} --log-facility=-`,
        ExecReload: '/usr/bin/kill -HUP $MAINPID',
        // The operator's settings in place of the built-in ones, when there are any.
        BindReadOnlyPaths: `-${runtimePaths.dnsmasq}:${builtInPaths.dnsmasq}`,
        Restart: 'always',
        RestartSec: '2s',
        ...hardening,
        AmbientCapabilities: 'CAP_NET_ADMIN CAP_NET_RAW CAP_NET_BIND_SERVICE',
        CapabilityBoundingSet: 'CAP_NET_ADMIN CAP_NET_RAW CAP_NET_BIND_SERVICE',
        User: 'dnsmasq',
        ProtectSystem: 'strict',
        ReadWritePaths: '/var/lib/misc',
        // Made empty at each start: dnsmasq tells of all its leases again, and no name of another network is left.
        RuntimeDirectory: lanNamesFolder.replace(/^\/run\//, ''),
        PrivateTmp: true,
        PrivateDevices: true,
        ProtectControlGroups: true,
        ProtectKernelTunables: true,
        SystemCallArchitectures: 'native',
        MemoryDenyWriteExecute: true,
        RestrictAddressFamilies: 'AF_UNIX AF_NETLINK AF_INET AF_INET6 AF_PACKET',
      },
      Install: { WantedBy: `sys-subsystem-net-devices-${lanDefaults.interface}.device` },
    },
  },
  files: {
    [builtInPaths.dnsmasq]: { body: renderDnsmasq(lanDefaults) },
    [lanNameProgram]: { mode: 0o755, body: { hostPath: new URL('./lan-name.sh', import.meta.url) } },
  },
}
