import {
  configCandidateFolder,
  configDroppedFolder,
  configRollbackFolder,
  dataUnavailableMarkerPath,
  operatorConfigPath,
} from '@atomixos/config'
import type { Module } from '@atomixos/image/definition/words.ts'
import { hardening } from './hardening.ts'

const sandbox = {
  ...hardening,
  ProtectSystem: 'strict',
  PrivateTmp: true,
  ProtectClock: true,
  ProtectControlGroups: true,
  ProtectKernelTunables: true,
  SystemCallArchitectures: 'native',
} as const

/**
 * Where the operator's configuration comes from, how it takes the place of the one before, and what the next start makes of
 * it when that was interrupted. A device that is provisioned, and whose configuration is whole, starts none of these.
 */
export const provisioning: Module = {
  name: 'provisioning',
  enable: ['config-recovery.service', 'provisioning.service'],
  units: {
    'config-recovery.service': {
      Unit: {
        Description: 'Undoing of a Configuration that was not Finished',
        DefaultDependencies: false,
        RequiresMountsFor: '/data',
        After: 'local-fs.target',
        Before: ['activation.service multi-user.target', 'shutdown.target'],
        Conflicts: 'shutdown.target',
        ConditionPathExists: [
          `!${dataUnavailableMarkerPath}`,
          ...[configRollbackFolder, configCandidateFolder, configDroppedFolder].map((path) => `|${path}`),
        ],
      },
      Service: {
        Type: 'oneshot',
        RemainAfterExit: true,
        ExecStart: '/usr/bin/atomixctl recover-config',
        TimeoutStartSec: '90s',
        ...sandbox,
        ReadWritePaths: '/data',
        CapabilityBoundingSet: 'CAP_DAC_OVERRIDE CAP_CHOWN CAP_FOWNER',
        PrivateDevices: true,
        PrivateNetwork: true,
        RestrictAddressFamilies: 'AF_UNIX',
      },
      Install: { WantedBy: 'multi-user.target' },
    },
    'provisioning.service': {
      Unit: {
        Description: 'Waiting for the First Configuration',
        RequiresMountsFor: '/data',
        // When everything was started: what is applied then meets a device that stands.
        After: 'multi-user.target config-recovery.service',
        ConditionPathExists: [`!${dataUnavailableMarkerPath}`, `!${operatorConfigPath}`],
      },
      Service: {
        Type: 'exec',
        ExecStart: '/usr/bin/atomixctl provision',
        Restart: 'on-failure',
        RestartSec: '5s',
        ...sandbox,
        ReadWritePaths: '/run -/data/identity',
        // It mounts what it looks at, for itself alone, and tells the console what it waits for.
        PrivateMounts: true,
        CapabilityBoundingSet: 'CAP_SYS_ADMIN CAP_DAC_OVERRIDE',
        DevicePolicy: 'closed',
        DeviceAllow: ['block-* r', '/dev/console w'],
        RestrictAddressFamilies: 'AF_UNIX AF_NETLINK',
      },
      Install: { WantedBy: 'multi-user.target' },
    },
    // Started by whoever asks for it, and independent of them: no lost session and no end of the API ends it.
    'config-apply@.service': {
      Unit: {
        Description: 'Applying of a Configuration (Job %i)',
        RequiresMountsFor: '/data',
        After: 'config-recovery.service activation.service',
        AssertPathExists: `!${dataUnavailableMarkerPath}`,
        // Failed jobs are told by themselves.
        CollectMode: 'inactive-or-failed',
      },
      Service: {
        Type: 'exec',
        ExecStart: '/usr/bin/atomixctl apply-job %i',
        ExecStopPost: '/usr/lib/atomixos/after-config-apply %i',
        // It may have an activation to take back.
        TimeoutStopSec: '5min',
        ...sandbox,
        // The manager of applications without privileges is in /run/user, and accounts are in /etc.
        ProtectHome: 'read-only',
        ReadWritePaths: '/run /data /etc',
        // Those of the activation, of files with their owners, and of the account that the manager answers.
        CapabilityBoundingSet: 'CAP_NET_ADMIN CAP_DAC_OVERRIDE CAP_CHOWN CAP_FOWNER CAP_SETUID CAP_SETGID',
        RestrictAddressFamilies: 'AF_UNIX AF_NETLINK AF_INET',
      },
    },
  },
  files: {
    '/usr/lib/atomixos/after-config-apply': {
      mode: 0o755,
      body: `#!/bin/sh
# A job whose program has died (killed, out of memory, stopped) is taken back.
if [ "$EXIT_CODE" = exited ] && [ "$EXIT_STATUS" = 0 ]; then exit 0; fi
exec /usr/bin/atomixctl apply-job --ended "$1"
`,
    },
  },
}
