import type { Module } from '@atomixos/image/definition/words.ts'

const documentation = 'documentation is read elsewhere'
const unlinked = 'nothing that is here loads it'
const openpgp = 'podman verifies no OpenPGP signatures here'
const installTime = 'serves the installation of packages, which never happens on the device'

/** Packages that others depend on and a device that is composed, never installed, does not need. */
export const trimPackages: Module = {
  name: 'trim-packages',
  omitPackages: {
    adduser: installTime,
    cpio: installTime,
    debconf: installTime,
    'dracut-install': installTime,
    'gcc-14-base': installTime,
    'init-system-helpers': installTime,
    'initramfs-tools': installTime,
    'initramfs-tools-bin': installTime,
    'initramfs-tools-core': installTime,
    'klibc-utils': installTime,
    libdebconfclient0: installTime,
    libklibc: installTime,
    'libtext-charwidth-perl': installTime,
    'libtext-wrapi18n-perl': installTime,
    'linux-base': installTime,
    logsave: installTime,
    'lsb-base': installTime,
    'perl-base': 'every script that needed it served installation',
    'readline-common': documentation,
    'runit-helper': installTime,
    'sensible-utils': 'there is no editor to choose',
    'sgml-base': installTime,
    'sysvinit-utils': 'systemd is the init system',
    ucf: installTime,
    'xml-core': installTime,
    dbus: 'dbus-broker is the bus',
    'dbus-bin': 'busctl does it',
    'dbus-daemon': 'dbus-broker is the bus',
    dirmngr: openpgp,
    gnupg: openpgp,
    'gnupg-l10n': openpgp,
    gpg: openpgp,
    'gpg-agent': openpgp,
    gpgconf: openpgp,
    gpgsm: openpgp,
    'pinentry-curses': openpgp,
    libksba8: openpgp,
    'libcbor0.10': unlinked,
    'libdb5.3t64': unlinked,
    'libfido2-1': unlinked,
    libgcrypt20: unlinked,
    libreadline8t64: unlinked,
    'libsasl2-modules-db': unlinked,
    'openssl-provider-legacy': 'no old algorithm is used',
    libnpth0t64: openpgp,
  },
}
