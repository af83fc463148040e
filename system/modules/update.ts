import {
  bootEnvironments,
  bootTries,
  bundleCompatible,
  fwEnvConfig,
  initialEnvironment,
  keyringPath,
  keyringSection,
  osUpgradeSettingsPath,
  partitionLinkFolder,
  pollTimer,
  rescueArgument,
  updateFolder,
} from '@atomixos/config'
import { renderUnit } from '@atomixos/image/definition/unit-text.ts'
import type { Module } from '@atomixos/image/definition/words.ts'
import { hardening, smallProgram } from './hardening.ts'
import { leanMemoryEnvironment } from './runtime.ts'

const slots = [
  ['boot.0', 'boot-a', 'type=vfat', 'bootname=A'],
  ['rootfs.0', 'rootfs-a', 'type=raw', 'parent=boot.0'],
  ['boot.1', 'boot-b', 'type=vfat', 'bootname=B'],
  ['rootfs.1', 'rootfs-b', 'type=raw', 'parent=boot.1'],
] as const

/**
 * No bundle below this version is taken, not even by hand: raised when an older release has a hole that must not come
 * back. What is older than the running system is refused by the pre-install handler.
 */
const bundleVersionFloor = '0.1.0'

/** They write to /data and to the device with U-Boot's environment, and ask systemd and RAUC over D-Bus. */
const updateSandbox = {
  ...hardening,
  ProtectSystem: 'strict',
  ReadWritePaths: '-/data -/run',
  PrivateTmp: true,
  ProtectClock: true,
  RestrictAddressFamilies: 'AF_UNIX AF_NETLINK AF_INET AF_INET6',
  CapabilityBoundingSet: 'CAP_NET_ADMIN CAP_DAC_OVERRIDE CAP_SYS_BOOT',
} as const

/** The manager of applications without privileges answers nobody but their account, in /run/user. */
const asksRootlessManager = {
  ProtectHome: 'read-only',
  CapabilityBoundingSet: `${updateSandbox.CapabilityBoundingSet} CAP_SETUID CAP_SETGID`,
} as const

/** Somebody is at the console: nothing restarts the machine by itself. */
const notForRescue = { ConditionKernelCommandLine: `!${rescueArgument}` } as const

/**
 * RAUC parses what comes from outside and writes slots. It may mount, make loop and dm devices, and use disks and the
 * flash with U-Boot's environment. It has no way to a network: the update client fetches. Our pre-install handler runs
 * inside, and asks nftables and systemd how the system is.
 */
const raucSandbox = {
  ...hardening,
  // Whoever installs by hand may have the bundle anywhere, their home and /tmp included; RAUC makes it root's.
  ProtectHome: false,
  ProtectSystem: 'full',
  ProtectClock: true,
  ProtectControlGroups: true,
  ProtectKernelTunables: true,
  DevicePolicy: 'closed',
  DeviceAllow: ['block-* rw', 'char-mtd rw', '/dev/loop-control rw', '/dev/mapper/control rw'],
  CapabilityBoundingSet: [
    'CAP_SYS_ADMIN CAP_NET_ADMIN CAP_DAC_OVERRIDE CAP_CHOWN CAP_FOWNER',
    // The handler asks the manager of applications without privileges as their account.
    'CAP_SETUID CAP_SETGID',
  ].join(' '),
  RestrictAddressFamilies: 'AF_UNIX AF_NETLINK',
  SystemCallArchitectures: 'native',
  SystemCallFilter: '@system-service @mount',
  SystemCallErrorNumber: 'EPERM',
} as const

/** RAUC and U-Boot's environment. */
export const update: Module = {
  name: 'update',
  packages: ['rauc', 'rauc-service', 'libubootenv-tool'],
  units: {
    // One of them runs: the device tree says what the machine is, and with it where U-Boot keeps its environment.
    'u-boot-environment-rock64.service': environmentUnit('rock64', 'pine64,rock64'),
    'u-boot-environment-qemu.service': environmentUnit('qemu', 'linux,dummy-virt'),
    'os-verification.service': {
      Unit: {
        Description: 'Verification of the Running Slot',
        // When everything was started. The target does not wait for it.
        After: 'multi-user.target',
      },
      Service: {
        // The system counts as started while it watches.
        Type: 'exec',
        ExecStart: '/usr/bin/atomixctl verify',
        Environment: 'NODE_OPTIONS=--unhandled-rejections=strict',
        ...updateSandbox,
        ...asksRootlessManager,
      },
      Install: { WantedBy: 'multi-user.target' },
    },
    // For a system that hangs before, or in, its verification.
    'slot-deadline.timer': {
      Unit: { Description: 'Time Limit of a Pending Slot', ...notForRescue },
      Timer: { OnBootSec: '20min', AccuracySec: '10s' },
      Install: { WantedBy: 'timers.target' },
    },
    'slot-deadline.service': {
      Unit: { Description: 'Restart out of a Slot that was not Confirmed in Time' },
      Service: {
        Type: 'oneshot',
        ExecStart: '/usr/lib/atomixos/slot-deadline',
        ...smallProgram,
        // It reads U-Boot's environment, for which fw_printenv takes a lock.
        PrivateDevices: false,
        DevicePolicy: 'closed',
        DeviceAllow: ['block-mmc r', 'char-mtd r'],
        ReadWritePaths: '/run/lock',
      },
    },
    'os-upgrade.timer': {
      Unit: { Description: 'Look for Updates' },
      Timer: {
        OnBootSec: `${pollTimer.afterBootS / 60}min`,
        OnUnitInactiveSec: `${pollTimer.intervalS / 3600}h`,
        RandomizedDelaySec: `${pollTimer.randomDelayS / 60}min`,
      },
      Install: { WantedBy: 'timers.target' },
    },
    'os-upgrade.service': {
      Unit: {
        Description: 'Look for an Update and Install It',
        ...notForRescue,
        ConditionPathExists: osUpgradeSettingsPath,
      },
      Service: {
        Type: 'oneshot',
        ExecStart: '/usr/bin/atomixctl update poll',
        Environment: leanMemoryEnvironment,
        // The client has limits of its own for each step.
        TimeoutStartSec: '26h',
        Nice: 10,
        IOSchedulingClass: 'idle',
        ...updateSandbox,
      },
    },
  },
  enable: [
    'u-boot-environment-rock64.service',
    'u-boot-environment-qemu.service',
    'os-verification.service',
    'slot-deadline.timer',
    'os-upgrade.timer',
  ],
  directories: { '/etc/rauc': {} },
  files: {
    '/etc/rauc/system.conf': {
      body: [
        '[system]',
        `compatible=${bundleCompatible('rock64')}`,
        'bootloader=uboot',
        `boot-attempts=${bootTries.confirmed}`,
        `boot-attempts-primary=${bootTries.pending}`,
        'data-directory=/data/rauc',
        'mountprefix=/run/rauc/mnt',
        'bundle-formats=verity',
        'activate-installed=true',
        `min-bundle-version=${bundleVersionFloor}`,
        '',
        '[handlers]',
        'pre-install=/usr/lib/atomixos/rauc-pre-install',
        '',
        '[log.events]',
        'filename=/data/logs/rauc.log',
        'format=readable',
        'events=all',
        'max-size=256K',
        'max-files=2',
        '',
        ...keyringSection(),
        ...slots.flatMap(([slot, label, ...settings]) => [
          '',
          `[slot.${slot}]`,
          `device=${partitionLinkFolder}/${label}`,
          ...settings,
        ]),
        '',
      ].join('\n'),
    },
    '/usr/lib/systemd/system/rauc.service.d/10-device.conf': { body: renderUnit({ Service: raucSandbox }) },
    '/usr/lib/tmpfiles.d/atomixos-rauc.conf': {
      body: `d /data/rauc 0700 root root -\nd ${updateFolder} 0700 root root -\nd /run/atomixos 0755 root root -\n`,
    },
    '/usr/lib/atomixos/rauc-pre-install': {
      mode: 0o755,
      body: '#!/bin/sh\nexec /usr/bin/atomixctl rauc-pre-install\n',
    },
    '/usr/lib/atomixos/slot-deadline': {
      mode: 0o755,
      body: { hostPath: new URL('./slot-deadline.sh', import.meta.url) },
    },
    // Public certificates and lists; the keys stay with who builds.
    [keyringPath]: { body: { template: '{{keyring}}' } },
    // Debian's policy lets anybody install and mark slots. Only root may.
    '/usr/share/dbus-1/system.d/de.pengutronix.rauc.conf': {
      replaces: 'rauc-service',
      body: `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
  "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <policy user="root">
    <allow own="de.pengutronix.rauc"/>
    <allow send_destination="de.pengutronix.rauc"/>
  </policy>
</busconfig>
`,
    },
    '/usr/lib/atomixos/fw_env/rock64.config': { body: fwEnvConfig(bootEnvironments.rock64) },
    '/usr/lib/atomixos/fw_env/qemu.config': { body: fwEnvConfig(bootEnvironments.qemu) },
    // What libubootenv falls back to when both copies are unreadable; U-Boot has the same defaults built in.
    '/etc/u-boot-initial-env': { body: initialEnvironment },
  },
}

function environmentUnit(name: string, compatible: string) {
  return {
    Unit: {
      Description: "Place of U-Boot's environment",
      DefaultDependencies: false,
      After: 'local-fs.target',
      Before: ['sysinit.target', 'shutdown.target'],
      Conflicts: 'shutdown.target',
      ConditionFirmware: `device-tree-compatible(${compatible})`,
    },
    Service: {
      Type: 'oneshot',
      RemainAfterExit: true,
      ExecStart: `/usr/bin/ln -sfn /usr/lib/atomixos/fw_env/${name}.config /etc/fw_env.config`,
      ...smallProgram,
      RestrictAddressFamilies: 'none',
      ReadWritePaths: '/etc',
    },
    Install: { WantedBy: 'sysinit.target' },
  } as const
}
