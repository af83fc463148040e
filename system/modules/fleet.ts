import {
  dataUnavailableMarkerPath,
  fleetAccount,
  fleetFolder,
  fleetRuntimeFolder,
  fleetRuntimePaths,
  fleetSettingsPath,
  fleetUnit,
} from '@atomixos/config'
import type { Module } from '@atomixos/image/definition/words.ts'
import { hardening } from './hardening.ts'

const principalsPath = '/usr/lib/atomixos/fleet-principals'

/**
 * Remote access through a fleet server, off until somebody enrols the device: docs/fleet.md. The process that talks to
 * the server has no rights but its own folder; nothing waits for it, and nothing listens for it.
 */
export const fleet: Module = {
  name: 'fleet',
  users: {
    [fleetAccount]: { uid: 120, home: fleetFolder, description: 'fleet service' },
  },
  enable: [fleetUnit],
  units: {
    [fleetUnit]: {
      Unit: {
        Description: 'Remote Access through the Fleet Server',
        After: 'network.target ssh-host-key.service multi-user.target',
        Wants: 'ssh-host-key.service',
        RequiresMountsFor: '/data',
        ConditionPathExists: [`!${dataUnavailableMarkerPath}`, fleetSettingsPath],
        // It never gives up, and is never "failed" for good.
        StartLimitIntervalSec: 0,
      },
      Service: {
        Type: 'exec',
        ExecStart: '/usr/bin/atomixctl fleet run',
        Restart: 'always',
        RestartSec: '10s',
        RestartSteps: 8,
        RestartMaxDelaySec: '30min',
        TimeoutStopSec: '20s',
        User: fleetAccount,
        Group: fleetAccount,
        // What only root may read.
        LoadCredential: [`settings:${fleetSettingsPath}`, 'host-key:/data/ssh/ssh_host_ed25519_key.pub'],
        RuntimeDirectory: fleetRuntimeFolder.replace('/run/', ''),
        RuntimeDirectoryMode: '0755',
        UMask: '0022',
        Environment: 'NODE_OPTIONS=--max-old-space-size=48',
        MemoryMax: '192M',
        TasksMax: 64,
        Nice: 10,
        CapabilityBoundingSet: '',
        ...hardening,
        ProtectSystem: 'strict',
        ReadWritePaths: fleetFolder,
        PrivateTmp: true,
        PrivateDevices: true,
        ProtectClock: true,
        ProtectControlGroups: true,
        ProtectKernelTunables: true,
        ProtectProc: 'invisible',
        RestrictAddressFamilies: 'AF_UNIX AF_INET AF_INET6 AF_NETLINK',
        SystemCallArchitectures: 'native',
        SystemCallFilter: '@system-service',
        SystemCallErrorNumber: 'EPERM',
      },
      Install: { WantedBy: 'multi-user.target' },
    },
  },
  files: {
    '/usr/lib/tmpfiles.d/atomixos-fleet.conf': {
      body: `d ${fleetFolder} 0700 ${fleetAccount} ${fleetAccount} -\n`,
    },
    [principalsPath]: {
      mode: 0o755,
      body: `#!/bin/sh
# For whom a certificate has to be, to be taken for this account: sshd asks, as ${fleetAccount}.
set -eu
read -r id <${fleetRuntimePaths.deviceId}
echo "$1@$id"
`,
    },
  },
}

/**
 * For sshd_config, at its end. Certificates count for administrators of the configuration, and through the tunnel only:
 * it ends on this device's own loopback address. Their keys on /data count as before.
 */
export const fleetSshSettings = `# Certificates of a fleet: for administrators, through the tunnel, while the server has approved this device.
Match Group sudo Address 127.0.0.1 LocalAddress 127.0.0.1
	TrustedUserCAKeys ${fleetRuntimePaths.userAuthority}
	AuthorizedPrincipalsCommand ${principalsPath} %u
	AuthorizedPrincipalsCommandUser ${fleetAccount}
`
