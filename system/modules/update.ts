import { bootEnvironments, fwEnvConfig, initialEnvironment, partitionLinkFolder } from '@atomixos/config'
import type { Module } from '@atomixos/image/definition/words.ts'

const slots = [
  ['boot.0', 'boot-a', 'type=vfat', 'bootname=A'],
  ['rootfs.0', 'rootfs-a', 'type=raw', 'parent=boot.0'],
  ['boot.1', 'boot-b', 'type=vfat', 'bootname=B'],
  ['rootfs.1', 'rootfs-b', 'type=raw', 'parent=boot.1'],
] as const

/** RAUC and U-Boot's environment. Without a keyring, which comes with signing, no bundle is accepted. */
export const update: Module = {
  name: 'update',
  packages: ['rauc', 'rauc-service', 'libubootenv-tool'],
  units: {
    // One of them runs: the device tree says what the machine is, and with it where U-Boot keeps its environment.
    'u-boot-environment-rock64.service': environmentUnit('rock64', 'pine64,rock64'),
    'u-boot-environment-qemu.service': environmentUnit('qemu', 'linux,dummy-virt'),
  },
  enable: ['u-boot-environment-rock64.service', 'u-boot-environment-qemu.service'],
  directories: { '/etc/rauc': {} },
  files: {
    '/etc/rauc/system.conf': {
      body: [
        '[system]',
        'compatible=atomixos-rock64',
        'bootloader=uboot',
        'data-directory=/data/rauc',
        'mountprefix=/run/rauc/mnt',
        'bundle-formats=verity',
        'activate-installed=true',
        ...slots.flatMap(([slot, label, ...settings]) => [
          '',
          `[slot.${slot}]`,
          `device=${partitionLinkFolder}/${label}`,
          ...settings,
        ]),
        '',
      ].join('\n'),
    },
    '/usr/lib/tmpfiles.d/atomixos-rauc.conf': { body: 'd /data/rauc 0700 root root -\n' },
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
    },
    Install: { WantedBy: 'sysinit.target' },
  } as const
}
