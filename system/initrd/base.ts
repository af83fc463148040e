import type { Module } from '@atomixos/image/definition/words.ts'

const units = '/usr/lib/systemd/system'
const libraries = '/usr/lib/aarch64-linux-gnu'

/**
 * systemd as the first process, and nothing that is not named here: an initrd is in memory at every boot and
 * part of every update, so it is a list of what is needed instead of a list of what is not.
 */
export const base: Module = {
  name: 'initrd-base',
  packages: ['systemd', 'dash', 'coreutils', 'libkmod2'],
  omitPackages: {
    debconf: 'install scripts do not run',
    debianutils: 'install scripts do not run',
    'libaudit-common': 'documentation and an unused configuration file',
    'openssl-provider-legacy': 'no old algorithm is used',
  },
  leaveOut: { '/**': 'the initrd holds what its modules keep, nothing else' },
  keep: {
    '/usr/lib/systemd/{systemd,systemd-executor,systemd-shutdown}':
      'the first process and what starts services for it',
    [`${libraries}/systemd/*.so`]: 'code of systemd',
    '/usr/bin/systemctl': 'leaves the initrd, and tells which unit failed',
    '/usr/bin/systemd-id128': 'makes the machine id',
    '/usr/bin/{dash,sh}': 'our four scripts',
    '/usr/bin/{cat,date,mkdir,mv,rm,sleep,sync}':
      'our scripts write files that must survive a power cut, and set the clock',
    [`/usr/lib/ld-linux-aarch64.so.1`]: 'the dynamic linker by the name that is in every program',
    [`${libraries}/{ld-linux-aarch64,libc,libm}.so.*`]: 'the C library',
    [`${libraries}/lib{acl,apparmor,attr,audit,blkid,cap,cap-ng,crypt,crypto,mount,pam,pcre2-8,seccomp,selinux,z,zstd}.so.*`]:
      'systemd and the programs here are linked with them',
    [`${libraries}/libkmod.so.*`]: 'systemd loads kernel modules through it',
    [`${units}/{basic,sysinit,local-fs,local-fs-pre,paths,shutdown,slices,sockets,swap,timers}.target`]:
      'the order of an early boot',
    [`${units}/initrd*.{target,service}`]: 'the order of an initrd, up to leaving it',
    '/usr/lib/systemd/system-generators/systemd-fstab-generator':
      'turns root= and systemd.volatile= into units',
    '/usr/lib/systemd/systemd-sysroot-fstab-check':
      'looks for mounts that the root wants before it is entered',
  },
  users: { root: { uid: 0, home: '/root', shell: '/usr/sbin/nologin' } },
  symlinks: {
    '/bin': 'usr/bin',
    '/sbin': 'usr/sbin',
    '/lib': 'usr/lib',
    '/init': 'usr/lib/systemd/systemd',
    '/var/run': '/run',
    '/etc/os-release': '../usr/lib/os-release',
  },
  directories: {
    '/dev': {},
    '/proc': {},
    '/sys': {},
    '/run': {},
    '/sysroot': {},
    '/tmp': { mode: 0o1777 },
    '/var': {},
  },
  files: {
    '/etc/initrd-release': { body: 'ID=atomixos-initrd\nNAME="AtomixOS initrd"\n' },
    '/usr/lib/os-release': { body: 'ID=atomixos-initrd\nNAME="AtomixOS initrd"\n' },
    // An empty one means: an id for this boot only, and no first boot; the system's own comes from /data.
    '/etc/machine-id': { body: '', mode: 0o444 },
    '/etc/systemd/system.conf.d/initrd.conf': {
      body: [
        '[Manager]',
        // There is no journal here: everything goes to the kernel's log, which the system's journal then reads.
        'LogTarget=kmsg',
        'DefaultStandardOutput=null',
        'DefaultStandardError=null',
        'DefaultEnvironment=SYSTEMD_LOG_TARGET=kmsg',
        'CrashAction=reboot',
        '',
      ].join('\n'),
    },
  },
}
