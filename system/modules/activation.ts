import {
  builtInPaths,
  dataUnavailableMarkerPath,
  firewallClosed,
  firewallInboundPath,
  hostNetworkPath,
  lanSettingsPath,
  networkDefaults,
  quadletRuntimePath,
  renderFirewall,
  runtimePaths,
  sshOnWanPath,
  usersPath,
} from '@atomixos/config'
import type { Module } from '@atomixos/image/definition/words.ts'
import { hardening } from './hardening.ts'

const closedRulesPath = '/usr/lib/atomixos/firewall-closed.nft'

/**
 * What the operator's configuration says of networks, firewall, users and containers takes effect: one run, before the
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
          ...[
            lanSettingsPath,
            firewallInboundPath,
            hostNetworkPath,
            sshOnWanPath,
            usersPath,
            quadletRuntimePath,
          ].map((path) => `|${path}`),
        ],
      },
      Service: {
        Type: 'oneshot',
        RemainAfterExit: true,
        ExecStart: '/usr/bin/atomixctl activate',
        ExecReload: '/usr/bin/atomixctl network reload',
        ExecStopPost: '/usr/lib/atomixos/after-activation',
        TimeoutStartSec: '90s',
        ...hardening,
        // Owners of homes, and of files that only some may read.
        CapabilityBoundingSet: 'CAP_NET_ADMIN CAP_DAC_OVERRIDE CAP_CHOWN CAP_FOWNER',
        ProtectSystem: 'strict',
        // Accounts are in /etc, which is in memory.
        ReadWritePaths: '/run /etc /data',
        ProtectClock: true,
        ProtectControlGroups: true,
        ProtectKernelTunables: true,
        RestrictAddressFamilies: 'AF_UNIX AF_NETLINK AF_INET',
        SystemCallArchitectures: 'native',
      },
      Install: { WantedBy: 'multi-user.target' },
    },
  },
  files: {
    [closedRulesPath]: { body: renderFirewall({ ...networkDefaults, firewall: firewallClosed }) },
    '/usr/lib/atomixos/after-activation': {
      mode: 0o755,
      body: `#!/bin/sh
# Stopped, or started again when the files are gone, the activation must not leave ports open. And if it could not
# even render rules, those that the image has built in may be wider than what the operator wants: the LAN is closed then.
set -eu
if [ "$SERVICE_RESULT" != success ] && [ -e ${runtimePaths.firewall} ]; then exit 0; fi
rules=${builtInPaths.firewall}
if [ -e ${firewallInboundPath} ]; then rules=${closedRulesPath}; fi
exec nft -f "$rules"
`,
    },
  },
}
