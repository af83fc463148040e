import {
  apiPort,
  bootUiSet,
  configRollbackFolder,
  dataUnavailableMarkerPath,
  firewallTable,
  operatorConfigPath,
} from '@atomixos/config'
import { apiService, reportLimits } from '@atomixos/config/api/index.ts'
import type { Module } from '@atomixos/image/definition/words.ts'
import { hardening } from './hardening.ts'

const node = '/usr/lib/atomixos/node'
const programs = '/usr/lib/atomixos/device.js'

/** There is no configuration, and none on its way back. */
const unconfigured = [
  `!${dataUnavailableMarkerPath}`,
  `!${operatorConfigPath}`,
  `!${configRollbackFolder}/config.toml`,
]

const confined = {
  ...hardening,
  ProtectSystem: 'strict',
  ProtectClock: true,
  ProtectControlGroups: true,
  ProtectKernelTunables: true,
  PrivateTmp: true,
  PrivateDevices: true,
  // The front's connections come from the socket that it is handed; neither half opens any.
  PrivateNetwork: true,
  RestrictAddressFamilies: 'AF_UNIX',
  SystemCallArchitectures: 'native',
} as const

/**
 * The API and the boot UI: two processes that are there while somebody asks, and gone half a minute later. The one that
 * reads what comes from the network may do nothing; the one that may do something reads only what that one hands on.
 */
export const api: Module = {
  name: 'api',
  users: {
    [apiService.account]: { uid: 901, description: 'what faces the network of the API' },
  },
  enable: [
    'api-front.socket',
    'config-worker.socket',
    'support-report.socket',
    'claim-code.service',
    'boot-ui-port.service',
  ],
  units: {
    'api-front.socket': {
      Unit: { Description: 'Port of the API and the Boot UI', After: 'claim-code.service' },
      Socket: {
        ListenStream: `0.0.0.0:${apiPort}`,
        Backlog: 128,
        // Whoever makes the service come and go quickly does not make the port go for good.
        TriggerLimitIntervalSec: 0,
      },
      Install: { WantedBy: 'sockets.target' },
    },
    'api-front.service': {
      Unit: {
        Description: 'API and Boot UI',
        Requires: 'api-front.socket config-worker.socket',
        // It asks the worker anyway: both start at the same time.
        Wants: 'config-worker.service',
        After: 'api-front.socket config-worker.socket',
        StartLimitIntervalSec: 0,
      },
      Service: {
        Type: 'exec',
        // Without a compiler no memory is ever both written and run.
        ExecStart: `${node} --jitless ${programs} api-front`,
        User: apiService.account,
        RuntimeDirectory: folderName(apiService.frontFolder),
        RuntimeDirectoryMode: '0700',
        RuntimeDirectoryPreserve: true,
        ...confined,
        InaccessiblePaths: '-/data -/boot',
        ProtectProc: 'invisible',
        ProcSubset: 'pid',
        PrivateUsers: true,
        PrivateIPC: true,
        CapabilityBoundingSet: '',
        MemoryDenyWriteExecute: true,
        SystemCallFilter: ['@system-service', '~@privileged @resources'],
        SystemCallErrorNumber: 'EPERM',
        UMask: '0077',
        MemoryMax: '256M',
        TasksMax: 32,
        LimitNOFILE: 512,
      },
    },
    'config-worker.socket': {
      Unit: { Description: "Socket of the API's Worker" },
      Socket: {
        ListenStream: apiService.workerSocket,
        SocketMode: '0660',
        SocketGroup: apiService.account,
        TriggerLimitIntervalSec: 0,
      },
      Install: { WantedBy: 'sockets.target' },
    },
    'config-worker.service': {
      Unit: {
        Description: "The API's Worker",
        Requires: 'config-worker.socket',
        After: 'config-worker.socket',
        StartLimitIntervalSec: 0,
      },
      Service: {
        Type: 'exec',
        ExecStart: `${node} ${programs} config-worker`,
        RuntimeDirectory: folderName(apiService.workerFolder),
        RuntimeDirectoryMode: '0700',
        RuntimeDirectoryPreserve: true,
        ...confined,
        ReadWritePaths: '/run',
        CapabilityBoundingSet: 'CAP_DAC_OVERRIDE',
        SystemCallFilter: ['@system-service', '~@mount @swap @reboot @module @raw-io @clock'],
        SystemCallErrorNumber: 'EPERM',
        UMask: '0077',
        MemoryMax: '512M',
        TasksMax: 64,
      },
    },
    // Root's alone, and of the worker among root's. One at a time: whoever comes meanwhile gets nothing.
    'support-report.socket': {
      Unit: { Description: 'Socket of Reports for Support' },
      Socket: {
        ListenStream: apiService.reportSocket,
        SocketMode: '0600',
        Accept: true,
        MaxConnections: 1,
        TriggerLimitIntervalSec: 0,
      },
      Install: { WantedBy: 'sockets.target' },
    },
    // The worker asks for a report and has none of these rights.
    'support-report@.service': {
      Unit: {
        Description: 'Report for Support',
        CollectMode: 'inactive-or-failed',
        StartLimitIntervalSec: 0,
      },
      Service: {
        Type: 'exec',
        ExecStart: '/usr/bin/atomixctl report -',
        StandardInput: 'null',
        StandardOutput: 'socket',
        StandardError: 'journal',
        RuntimeMaxSec: reportLimits.totalMs / 1000,
        TimeoutStopSec: '10s',
        Nice: 10,
        ...hardening,
        // The kernel's messages are a part of it.
        ProtectKernelLogs: false,
        ProtectSystem: 'strict',
        ProtectClock: true,
        ProtectControlGroups: true,
        ProtectKernelTunables: true,
        PrivateTmp: true,
        SystemCallArchitectures: 'native',
        // Scratch is in memory, and podman and fw_printenv lock what they read.
        ReadWritePaths: '/run -/data/containers/storage',
        DevicePolicy: 'closed',
        DeviceAllow: ['block-* r', 'char-mtd r', '/dev/kmsg r'],
        RestrictAddressFamilies: 'AF_UNIX AF_NETLINK AF_INET',
        // Of others' files and processes, of the firewall and the kernel's messages; podman takes root without
        // CAP_SYS_ADMIN for an ordinary user.
        CapabilityBoundingSet: 'CAP_DAC_OVERRIDE CAP_SYS_PTRACE CAP_NET_ADMIN CAP_SYSLOG CAP_SYS_ADMIN',
        SystemCallFilter: '~@clock @module @raw-io @reboot @swap @obsolete @cpu-emulation',
        SystemCallErrorNumber: 'EPERM',
        MemoryMax: '384M',
        TasksMax: 64,
        UMask: '0077',
      },
    },
    // The firewall has the port closed on the WAN. Loaded again, as every activation of a configuration does, it is closed.
    'boot-ui-port.service': {
      Unit: {
        Description: 'Port of the Boot UI on the WAN, until there is a Configuration',
        DefaultDependencies: false,
        RequiresMountsFor: '/data',
        Requires: 'nftables.service',
        After: 'nftables.service config-recovery.service activation.service',
        Before: ['systemd-networkd.service', 'shutdown.target'],
        Conflicts: 'shutdown.target',
        ConditionPathExists: unconfigured,
      },
      Service: {
        Type: 'oneshot',
        ExecStart: `/usr/sbin/nft add element ${firewallTable.family} ${firewallTable.name} ${bootUiSet} { ${apiPort} }`,
        ...confined,
        PrivateNetwork: false,
        RestrictAddressFamilies: 'AF_UNIX AF_NETLINK',
        CapabilityBoundingSet: 'CAP_NET_ADMIN',
      },
      Install: { WantedBy: 'multi-user.target' },
    },
    'claim-code.service': {
      Unit: {
        Description: 'Claim Code of the Boot Partition',
        RequiresMountsFor: '/data',
        Before: 'api-front.socket',
        // In time for the socket, which is there before the rest of the system.
        DefaultDependencies: false,
        After: 'local-fs.target systemd-tmpfiles-setup.service config-recovery.service',
        Conflicts: 'shutdown.target',
        ConditionPathExists: unconfigured,
      },
      Service: {
        Type: 'oneshot',
        ExecStart: '/usr/lib/atomixos/boot-partition-code',
        TimeoutStartSec: '30s',
        ProtectSystem: 'strict',
        // The code is copied to where no update takes it away.
        ReadWritePaths: '/run -/data/identity',
        ProtectHome: true,
        ProtectClock: true,
        ProtectControlGroups: true,
        ProtectHostname: true,
        ProtectKernelLogs: true,
        ProtectKernelTunables: true,
        PrivateMounts: true,
        PrivateNetwork: true,
        RestrictAddressFamilies: 'AF_UNIX',
        RestrictRealtime: true,
        RestrictSUIDSGID: true,
        LockPersonality: true,
        MemoryDenyWriteExecute: true,
        CapabilityBoundingSet: 'CAP_SYS_ADMIN CAP_DAC_OVERRIDE',
        SystemCallArchitectures: 'native',
        NoNewPrivileges: true,
      },
      Install: { WantedBy: 'sockets.target' },
    },
  },
  files: {
    // A first configuration that was tried has closed the port on the WAN. When it has failed somebody has to come again.
    '/usr/lib/systemd/system/config-apply@.service.d/10-boot-ui-port.conf': {
      body: '[Service]\nExecStopPost=-+/usr/bin/systemctl start --no-block boot-ui-port.service\n',
    },
    '/usr/lib/atomixos/boot-partition-code': {
      mode: 0o755,
      body: { hostPath: new URL('./boot-partition-code.sh', import.meta.url) },
    },
  },
}

/** As RuntimeDirectory= has it. */
function folderName(path: string): string {
  return path.replace(/^\/run\//, '')
}
