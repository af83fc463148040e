import type { Module } from '@atomixos/image/definition/words.ts'

const unlinked = 'nothing that is here loads it'
const openpgp = 'podman verifies no OpenPGP signatures here'
const installTime = 'serves the installation of packages, which never happens on the device'

/**
 * Packages that others depend on and a device that is composed, never installed, does not need. What only they
 * need goes with them: perl and the rest of GnuPG, for example.
 */
export const trimPackages: Module = {
  name: 'trim-packages',
  omitPackages: {
    adduser: installTime,
    debconf: installTime,
    'init-system-helpers': installTime,
    'initramfs-tools': installTime,
    libdebconfclient0: installTime,
    'linux-base': installTime,
    'lsb-base': installTime,
    'runit-helper': installTime,
    ucf: installTime,
    'xml-core': installTime,
    dbus: 'dbus-broker is the bus',
    'dbus-daemon': 'dbus-broker is the bus',
    gnupg: openpgp,
    gpg: openpgp,
    'libdb5.3t64': unlinked,
    'libfido2-1': unlinked,
    'libsasl2-modules-db': unlinked,
    'openssl-provider-legacy': 'no old algorithm is used',
  },
}
