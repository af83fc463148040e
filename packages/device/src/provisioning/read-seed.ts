import { constants } from 'node:fs'
import { mkdir, open, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { bootSeedName } from '@atomixos/config'
import { bundleLimits } from '../apply/bundle-limits.ts'
import { runProgram } from '../run-program.ts'
import type { SeedFileSystem } from './usb-partitions.ts'

/** In the root folder of a stick; the first that is there. */
export const stickSeedNames = [
  bootSeedName,
  ...['config.tar.zst', 'config.tzst', 'config.tar.gz', 'config.tgz'],
] as const

export interface Seed {
  readonly name: string
  readonly bytes: Uint8Array
}

const mountPoint = '/run/atomixos/seed'

/**
 * Reads the first of these files of a file system, which is mounted for as long as that takes: read-only, nothing on it is a
 * program or a device, and only this process sees it (its unit has mounts of its own). Undefined: none of them is there.
 * Rejects with an Error that says what is wrong.
 */
export async function readSeed(
  device: string,
  fileSystem: SeedFileSystem,
  names: readonly string[],
): Promise<Seed | undefined> {
  await mkdir(mountPoint, { recursive: true, mode: 0o700 })
  // Without its journal: a stick that is only looked at is not written to.
  const options = `ro,nosuid,nodev,noexec${fileSystem === 'ext4' ? ',noload' : ''}`
  const mounted = await runProgram(['/usr/bin/mount', '-t', fileSystem, '-o', options, device, mountPoint], {
    timeoutMs: 30_000,
  })
  if (mounted.exitCode !== 0) {
    // mount says why first, and goes on with advice.
    const [reason = ''] = mounted.stderr.trim().split('\n')
    throw new Error(`${device} cannot be read: ${reason.replace(`mount: ${mountPoint}: `, '')}`)
  }
  try {
    return await readFirst(mountPoint, names)
  } finally {
    // Lazily: a stick that was pulled out answers nobody.
    await runProgram(['/usr/bin/umount', '--lazy', mountPoint], { timeoutMs: 30_000 })
    await rmdir(mountPoint).catch(() => {})
  }
}

/** What is no regular file, or larger than an upload may be, is refused; links are not followed. */
export async function readFirst(folder: string, names: readonly string[]): Promise<Seed | undefined> {
  for (const name of names) {
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
    const file = await open(join(folder, name), flags).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined
      throw new Error(`${name} cannot be read: ${error.code === 'ELOOP' ? 'it is a link' : error.message}`)
    })
    if (file === undefined) continue
    try {
      const stat = await file.stat()
      if (!stat.isFile()) throw new Error(`${name} is no regular file`)
      const most = bundleLimits.uploadBytesMax
      if (stat.size > most) throw new Error(`${name} is larger than ${most >> 20} MiB`)
      const bytes = Buffer.alloc(stat.size)
      const read = await file.read(bytes, 0, stat.size, 0).catch((error: NodeJS.ErrnoException) => error)
      // The commonest reason is a hand that was too quick.
      const why = read instanceof Error ? ` (${read.code})` : ''
      if (read instanceof Error || read.bytesRead !== stat.size) {
        throw new Error(`${name} cannot be read to its end${why}; plug it in again and leave it in`)
      }
      return { name, bytes }
    } finally {
      await file.close()
    }
  }
  return undefined
}
