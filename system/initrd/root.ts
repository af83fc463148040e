import type { Module } from '@atomixos/image/definition/words.ts'

const units = '/usr/lib/systemd/system'
const libraries = '/usr/lib/aarch64-linux-gnu'

/** The squashfs, protected by dm-verity, below a tmpfs: parts of systemd that the kernel command line configures. */
export const root: Module = {
  name: 'initrd-root',
  packages: ['systemd-cryptsetup', 'mount', 'dmsetup'],
  keep: {
    '/usr/lib/systemd/{systemd-veritysetup,systemd-volatile-root}': 'verified root, tmpfs above it',
    '/usr/lib/systemd/system-generators/systemd-veritysetup-generator': 'turns roothash= into a unit',
    [`${units}/systemd-volatile-root.service`]: 'tmpfs above the root',
    [`${units}/veritysetup{,-pre}.target`]: 'order of the verified root',
    [`${units}/sysinit.target.wants/veritysetup.target`]: 'starts it',
    [`${libraries}/lib{cryptsetup,devmapper,json-c,udev,uuid}.so.*`]:
      'systemd-veritysetup is linked with them',
    '/usr/sbin/dmsetup': 'udev tells libdevmapper with it that a device is there; without it everybody waits',
    '/usr/lib/udev/rules.d/{55-dm,60-persistent-storage-dm,95-dm-notify}.rules': 'the same',
    '/usr/bin/mount': 'systemd mounts with it',
    '/usr/bin/umount': 'a factory reset takes /data away',
  },
  unprivileged: {
    '/usr/bin/mount': 'everything here runs as root',
    '/usr/bin/umount': 'everything here runs as root',
  },
  files: {
    [`${units}/systemd-volatile-root.service.d/requires.conf`]: { body: '[Unit]\nRequires=sysroot.mount\n' },
    // Without this a root that cannot be verified would be noticed only when the wait for its device runs out.
    [`${units}/systemd-veritysetup@root.service.d/emergency.conf`]: {
      body: '[Unit]\nOnFailure=emergency.target\nOnFailureJobMode=replace-irreversibly\n',
    },
  },
}
