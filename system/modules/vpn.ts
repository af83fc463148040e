import type { Module } from '@atomixos/image/definition/words.ts'
import { hardening } from './hardening.ts'

/** OpenVPN for recovery, started by hand with a configuration on /data. */
export const vpn: Module = {
  name: 'vpn',
  packages: ['openvpn'],
  leaveOut: {
    '/usr/lib/systemd/system-generators/openvpn-generator':
      'starts tunnels of /etc/openvpn, of which there are none',
  },
  units: {
    'openvpn-recovery.service': {
      Unit: {
        Description: 'OpenVPN tunnel for recovery',
        After: 'network.target',
        RequiresMountsFor: '/data',
        AssertPathExists: '/data/config/openvpn/client.conf',
      },
      Service: {
        Type: 'notify',
        WorkingDirectory: '/data/config/openvpn',
        ExecStart: '/usr/sbin/openvpn --suppress-timestamps --nobind --config client.conf --dev tun0',
        ...hardening,
        CapabilityBoundingSet:
          'CAP_IPC_LOCK CAP_NET_ADMIN CAP_NET_RAW CAP_SETGID CAP_SETUID CAP_SYS_CHROOT CAP_DAC_OVERRIDE',
        DeviceAllow: ['/dev/null rw', '/dev/net/tun rw'],
        PrivateTmp: true,
        ProtectControlGroups: true,
        RestrictAddressFamilies: 'AF_UNIX AF_NETLINK AF_INET AF_INET6',
        SystemCallArchitectures: 'native',
        ProtectSystem: true,
        KillMode: 'process',
      },
    },
  },
}
