import {
  builtInPaths,
  dataUnavailableMarkerPath,
  firewallInboundPath,
  hostNetworkPath,
  lanSettingsPath,
  quadletRuntimePath,
  sshOnWanPath,
} from '@atomixos/config'
import type { Module } from '@atomixos/image/definition/words.ts'

/**
 * What the operator's configuration says of networks, firewall and containers takes effect: one run, before the
 * network comes up. Without any of these files it does not run, and what the image has built in holds; so it does
 * when the run fails.
 */
export const activation: Module = {
  name: 'activation',
  enable: ['activation.service'],
  units: {
    'activation.service': {
      Unit: {
        Description: "Activation of the Operator's Configuration",
        DefaultDependencies: false,
        RequiresMountsFor: '/data',
        After: 'local-fs.target systemd-sysctl.service nftables.service',
        Before: [
          'systemd-networkd.service dnsmasq.service chrony.service multi-user.target',
          'shutdown.target',
        ],
        Conflicts: 'shutdown.target',
        ConditionPathExists: [
          `!${dataUnavailableMarkerPath}`,
          ...[lanSettingsPath, firewallInboundPath, hostNetworkPath, sshOnWanPath, quadletRuntimePath].map(
            (path) => `|${path}`,
          ),
        ],
      },
      Service: {
        Type: 'oneshot',
        RemainAfterExit: true,
        ExecStart: '/usr/bin/atomixctl activate',
        ExecReload: '/usr/bin/atomixctl network reload',
        // Stopped, or started again when the files are gone, it must not leave ports open.
        ExecStop: `/usr/sbin/nft -f ${builtInPaths.firewall}`,
        TimeoutStartSec: '90s',
        CapabilityBoundingSet: 'CAP_NET_ADMIN CAP_DAC_OVERRIDE',
        ProtectSystem: 'strict',
        ReadWritePaths: '/run',
        ProtectHome: true,
        ProtectClock: true,
        ProtectControlGroups: true,
        ProtectHostname: true,
        ProtectKernelLogs: true,
        ProtectKernelModules: true,
        ProtectKernelTunables: true,
        RestrictAddressFamilies: 'AF_UNIX AF_NETLINK AF_INET',
        RestrictNamespaces: true,
        RestrictRealtime: true,
        RestrictSUIDSGID: true,
        LockPersonality: true,
        SystemCallArchitectures: 'native',
        NoNewPrivileges: true,
      },
      Install: { WantedBy: 'multi-user.target' },
    },
  },
}
