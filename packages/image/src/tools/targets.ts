/**
 * The tool trees and the packages that are asked for in each; their dependencies come with them, their
 * recommendations do not. Locked for every architecture that can build.
 *
 * Essential packages count as installed nowhere, so a shell and the like are asked for by name.
 */
export const toolTargets = {
  /** Makes the artifacts and, in tests, takes them apart again. */
  tools: [
    'binutils-aarch64-linux-gnu',
    'bubblewrap',
    'coreutils',
    'cpio',
    'cryptsetup-bin',
    'dash',
    'dosfstools',
    'e2fsprogs',
    'f2fs-tools',
    'fdisk',
    'findutils',
    'grep',
    'kmod',
    'libfaketime',
    'libc-bin',
    'mtools',
    'openssl',
    'rauc',
    'sed',
    'squashfs-tools',
    'systemd',
    'tar',
    'u-boot-tools',
    'util-linux',
    'xz-utils',
    'zstd',
  ],
  /** The package solver and what checks signatures for it. */
  'tools-lock': [
    'apt',
    'bubblewrap',
    'coreutils',
    'dash',
    'debian-archive-keyring',
    'dpkg',
    'gpgv',
    'libc-bin',
    'sqv',
    'xz-utils',
  ],
  /** Compiles U-Boot: a cross-compiler, and a native one for its own build tools. */
  'tools-firmware': [
    'bash',
    'bc',
    'binutils',
    'bison',
    'bubblewrap',
    'bzip2',
    'coreutils',
    'dash',
    'device-tree-compiler',
    'diffutils',
    'file',
    'findutils',
    'flex',
    'gcc',
    'gcc-aarch64-linux-gnu',
    'grep',
    'gzip',
    'libc-bin',
    'libc6-dev',
    'libgnutls28-dev',
    'libfaketime',
    'libssl-dev',
    'make',
    'mawk',
    'patch',
    'perl-base',
    'pkgconf',
    'python3',
    'python3-dev',
    'python3-pyelftools',
    'python3-setuptools',
    'sed',
    'swig',
    'tar',
    'u-boot-tools',
    'uuid-dev',
    'xxd',
    'xz-utils',
    'zstd',
  ],
  /** Runs the machines and the network labs of the tests. */
  'tools-machine': [
    'bash',
    'bsdutils',
    'bubblewrap',
    'chrony',
    'coreutils',
    'curl',
    'dash',
    'dnsmasq-base',
    'findutils',
    'grep',
    'iproute2',
    'iputils-ping',
    'isc-dhcp-client',
    'libc-bin',
    'mtools',
    'ncat',
    'nftables',
    'openssh-client',
    'openssl',
    'procps',
    'qemu-system-arm',
    'qemu-utils',
    'rauc',
    'sed',
    'tcpdump',
    'u-boot-tools',
    'udhcpc',
    'util-linux',
  ],
} as const satisfies Readonly<Record<string, readonly string[]>>

export type ToolTargetName = keyof typeof toolTargets

export function isToolTarget(name: string): name is ToolTargetName {
  return Object.hasOwn(toolTargets, name)
}

/** The target of the lock that holds a tool tree for an architecture (Debian's name): `tools`, `tools-arm64`. */
export function toolLockTarget(name: ToolTargetName, architecture: string): string {
  return architecture === 'amd64' ? name : `${name}-${architecture}`
}
