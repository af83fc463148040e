import { accessSync, constants, existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { MachineError } from './errors.ts'
import type { Programs } from './types.ts'

const binaryFolders = ['usr/bin', 'usr/sbin', 'bin', 'sbin']

/** This machine's own programs, found on PATH and in the administrator's folders. */
export function hostPrograms(path: string = process.env.PATH ?? ''): Programs {
  const folders = [...path.split(delimiter).filter(Boolean), '/usr/sbin', '/sbin', '/usr/bin', '/bin']
  return {
    argv: (program) => [find(program, folders, 'install it, or use the programs of a tools tree')],
  }
}

/**
 * The programs of an unpacked Debian tree, started through the tree's own loader, so that neither the
 * libraries nor the age of this machine's system matter.
 *
 * @param architecture Of the tree, which is this machine's: `x64` or `arm64`.
 */
export function treePrograms(rootDir: string, architecture: string = process.arch): Programs {
  const { triplet, loader } = layoutOf(architecture)
  const libraries = join(rootDir, 'usr/lib', triplet)
  const folders = binaryFolders.map((folder) => join(rootDir, folder))
  return {
    rootDir,
    env: { QEMU_MODULE_DIR: join(libraries, 'qemu') },
    argv: (program) => [
      join(libraries, loader),
      '--library-path',
      libraries,
      find(program, folders, 'add its package to the tools tree'),
      ...(program.startsWith('qemu-system-') ? ['-L', join(rootDir, 'usr/share/qemu')] : []),
    ],
  }
}

function layoutOf(architecture: string): { triplet: string; loader: string } {
  if (architecture === 'x64') return { triplet: 'x86_64-linux-gnu', loader: 'ld-linux-x86-64.so.2' }
  if (architecture === 'arm64') return { triplet: 'aarch64-linux-gnu', loader: 'ld-linux-aarch64.so.1' }
  throw new MachineError(`there is no tools tree for the architecture ${architecture}`)
}

function find(program: string, folders: readonly string[], hint: string): string {
  for (const folder of folders) {
    const path = join(folder, program)
    if (existsSync(path) && isExecutable(path)) return path
  }
  throw new MachineError(`there is no program ${program} in ${folders.join(', ')}`, { hint })
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
