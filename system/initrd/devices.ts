import type { Module } from '@atomixos/image/definition/words.ts'

const units = '/usr/lib/systemd/system'

const coldplugged = ['amba', 'block', 'i2c', 'mmc', 'pci', 'platform', 'spi', 'virtio']
  .map((subsystem) => `--subsystem-match=${subsystem}`)
  .join(' ')

/** udev with the rules that disks need, and the drivers of everything a root can be on. */
export const devices: Module = {
  name: 'initrd-devices',
  packages: ['udev', 'kmod', 'linux-image-arm64'],
  omitPackages: {
    'initramfs-tools': 'this is the initrd',
    'linux-base': 'install scripts do not run',
  },
  keep: {
    '/usr/bin/udevadm': 'the device manager',
    '/usr/lib/systemd/systemd-udevd': 'the name it is started by',
    '/usr/lib/udev/rules.d/{60-block,60-persistent-storage,80-drivers,99-systemd}.rules':
      'load drivers; name disks by what is on them; tell systemd of them',
    '/usr/bin/kmod': 'the kernel asks for file systems and device mapper targets through modprobe',
    '/usr/sbin/modprobe': 'its name for the kernel',
    '/usr/lib/systemd/systemd-modules-load': 'loads the list below',
    [`${units}/systemd-udevd{,-control,-kernel}.{service,socket}`]: 'the device manager',
    [`${units}/systemd-udev-trigger.service`]: 'finds what was there before udev',
    [`${units}/systemd-modules-load.service`]: 'loads the list below',
    [`${units}/modprobe@.service`]: 'units of packages ask for single modules with it',
    [`${units}/sysinit.target.wants/{systemd-modules-load,systemd-udevd,systemd-udev-trigger}.service`]:
      'starts them',
    [`${units}/sockets.target.wants/systemd-udevd-{control,kernel}.socket`]: 'starts them',
  },
  kernelModules: [
    // The system disk on the RK3328 and what it is supplied by, all the way to the bus of the power chip: without
    // one of them the kernel puts off the disk for ever. board-drivers.ts derives it from the device tree.
    'dw_mmc-rockchip',
    'rk808-regulator',
    'i2c-rk3x',
    'fixed',
    'gpio-rockchip',
    'io-domain',
    // Nothing here uses the DMA engine, but the SPI controller with U-Boot's environment waits for it.
    'pl330',
    // The system disk on QEMU's virt machine.
    'virtio_blk',
    'virtio_pci',
    'virtio_rng',
    // systemd reads the hypervisor's credentials through it before udev runs.
    'qemu_fw_cfg',
    // systemd loads it first of all and complains when it is missing.
    'autofs4',
  ],
  loadKernelModules: [
    'dm_mod',
    'dm_verity',
    'squashfs',
    'overlay',
    'loop',
    'f2fs',
    // f2fs asks the crypto layer for it by an alias that none of its dependencies name.
    'crc32_generic',
    // dm-verity takes the fastest SHA-256 that is loaded when it starts. Every CPU we boot on has the extension.
    'sha2-ce',
    // The device must exist when systemd looks for it, right after the initrd.
    'dw_wdt',
    'i6300esb',
  ],
  files: {
    [`${units}/systemd-udev-trigger.service.d/subsystems.conf`]: {
      body: [
        '[Service]',
        'ExecStart=',
        // Buses that a disk, its supplies or a watchdog can be on. All of /sys would be ten times as many devices,
        // which the system goes through anyway when it starts its own udev.
        `ExecStart=-udevadm trigger --type=all --action=add --prioritized-subsystem=block ${coldplugged}`,
        '',
      ].join('\n'),
    },
    '/usr/lib/udev/rules.d/59-atomixos-disk.rules': {
      body: [
        '# The system disk is soldered on. An SD card may hold a copy of the same image, with the same partition ids,',
        '# and must not be taken for it: no link below /dev/disk leads to a card.',
        'SUBSYSTEM=="block", KERNEL=="mmcblk*", ATTRS{type}=="SD", ENV{UDEV_DISABLE_PERSISTENT_STORAGE_RULES_FLAG}="1"',
        '',
      ].join('\n'),
    },
  },
}
