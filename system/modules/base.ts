import type { Module } from '@atomixos/image/definition/words.ts'

/** The ground: C library, shell, the programs that everything else calls, and what scripts of packages would make. */
export const base: Module = {
  name: 'base',
  packages: [
    ...['base-files', 'base-passwd', 'netbase', 'libc-bin', 'ncurses-base', 'ca-certificates'],
    ...[
      'bash',
      'dash',
      'coreutils',
      'findutils',
      'grep',
      'sed',
      'mawk',
      'tar',
      'gzip',
      'zstd',
      'less',
      'hostname',
    ],
    ...['util-linux', 'mount', 'procps', 'kmod', 'iproute2', 'iputils-ping', 'curl', 'f2fs-tools'],
  ],
  symlinks: {
    '/usr/bin/awk': 'mawk',
    // Programs read mounts, time and lists of hosts where they always did.
    '/etc/mtab': '../proc/self/mounts',
    '/etc/localtime': '/usr/share/zoneinfo/UTC',
  },
  directories: {
    '/root': { mode: 0o700 },
    '/tmp': { mode: 0o1777 },
    '/var/tmp': { mode: 0o1777 },
    '/proc': { mode: 0o555 },
    '/sys': { mode: 0o555 },
    '/dev': {},
    '/run': {},
    '/boot': {},
    '/data': {},
    '/var/log': {},
    '/var/cache': {},
    '/var/lib': {},
  },
  files: {
    '/usr/lib/os-release': {
      replaces: 'base-files',
      body: {
        template: [
          'PRETTY_NAME="AtomixOS {{version}} ({{board}}, Debian {{series}})"',
          'NAME="AtomixOS"',
          'ID=atomixos',
          'ID_LIKE=debian',
          'VERSION="{{version}} ({{series}})"',
          'VERSION_ID="{{version}}"',
          'VERSION_CODENAME={{series}}',
          'IMAGE_ID=atomixos-{{board}}',
          'IMAGE_VERSION={{version}}',
          'VARIANT="{{variant}}"',
          'VARIANT_ID={{variant}}',
          'DEBIAN_CODENAME={{series}}',
          '',
        ].join('\n'),
      },
    },
    // \l and \S are agetty's: the terminal, and the name from os-release. `variant` warns of development keys.
    '/etc/issue': {
      replaces: 'base-files',
      body: { template: '\\S{PRETTY_NAME} \\n \\l\n{{notice}}\n' },
    },
    '/etc/issue.net': { replaces: 'base-files', body: 'AtomixOS\n' },
    '/etc/hostname': { body: 'atomixos\n' },
    '/etc/hosts': { body: '127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n' },
    '/etc/environment': { body: 'LANG=C.UTF-8\n' },
    '/etc/locale.conf': { body: 'LANG=C.UTF-8\n' },
    '/etc/shells': { body: '/bin/sh\n/bin/bash\n/usr/bin/bash\n/bin/zsh\n/usr/bin/zsh\n' },
    '/etc/nsswitch.conf': {
      body: [
        'passwd: files systemd',
        'group: files systemd',
        'shadow: files systemd',
        'gshadow: files systemd',
        'hosts: files myhostname dns',
        'networks: files',
        'protocols: files',
        'services: files',
        'ethers: files',
        'rpc: files',
        '',
      ].join('\n'),
    },
    // What update-ca-certificates would make. One file serves OpenSSL, GnuTLS, curl and Go alike.
    '/etc/ssl/certs/ca-certificates.crt': {
      body: { concatenated: '/usr/share/ca-certificates/mozilla/*.crt' },
    },
  },
}
