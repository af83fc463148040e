import { UserError } from '../errors.ts'

/** What differs between the architectures a build can run on. */
export interface HostArchitecture {
  /** Debian's name. */
  readonly debian: 'amd64' | 'arm64'
  readonly libraryDir: string
  /** The program interpreter's file name in `libraryDir`. */
  readonly loader: string
}

const architectures: Readonly<Record<string, HostArchitecture>> = {
  x64: { debian: 'amd64', libraryDir: 'usr/lib/x86_64-linux-gnu', loader: 'ld-linux-x86-64.so.2' },
  arm64: { debian: 'arm64', libraryDir: 'usr/lib/aarch64-linux-gnu', loader: 'ld-linux-aarch64.so.1' },
}

export function hostArchitecture(
  arch: string = process.arch,
  platform: string = process.platform,
): HostArchitecture {
  if (platform !== 'linux') {
    throw new UserError(`AtomixOS is built with Linux programs, and this is ${platform}`, {
      hint: 'build on Linux, or in a virtual machine with it; `./atomixos flash` and `serial` work here',
    })
  }
  const found = Object.hasOwn(architectures, arch) ? architectures[arch] : undefined
  if (found === undefined) {
    throw new UserError(`AtomixOS cannot be built on ${arch}: there are no tools for it`, {
      hint: 'build on an x86-64 or 64-bit ARM machine',
    })
  }
  return found
}

/** Debian's names of all architectures that can build. */
export const buildArchitectures = Object.values(architectures).map(({ debian }) => debian)
