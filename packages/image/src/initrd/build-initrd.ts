import { createWriteStream } from 'node:fs'
import { chmod } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { constants, createZstdCompress } from 'node:zlib'
import { codeIdentity } from '../step/code-identity.ts'
import type { StepRunner } from '../step/step.ts'
import { treeIdentity } from '../tree/identity.ts'
import { sortedPaths, type Tree } from '../tree/tree.ts'
import { writeCpio } from './cpio.ts'

export interface Initrd {
  readonly path: string
  /** Of the step that made it. */
  readonly id: string
}

/**
 * The window is 8 MiB: the kernel's decompressor refuses more (`ZSTD_WINDOWSIZE_MAX` in lib/decompress_unzstd.c). Level 19
 * would take seven times as long as 12 to save a tenth. Devices make an initrd again from a delta: the table of hashes has
 * 4 MiB instead of the level's 32, which costs 2 % in size.
 */
export const initrdCompression = { level: 12, windowLog: 23, hashLog: 20 } as const

/**
 * The tree as a zstd-compressed cpio archive.
 */
export async function buildInitrd(
  options: { tree: Tree; sourceDateEpoch: number; level?: number },
  { steps }: { steps: StepRunner },
): Promise<Initrd> {
  const { tree, sourceDateEpoch, level = initrdCompression.level } = options
  const result = await steps.run({
    name: 'initrd',
    code: codeIdentity(import.meta.url),
    // The compressor is part of Node: another version may give other bytes.
    inputs: { tree: treeIdentity(tree), sourceDateEpoch, level, zstd: process.versions['zstd'] },
    async run({ outDir, signal, task }) {
      const total = sortedPaths(tree).length
      let done = 0
      const counted = async function* () {
        for await (const chunk of writeCpio(tree, { mtime: sourceDateEpoch })) {
          yield chunk
          if (++done % 64 === 0) task.progress(Math.min(done, total), total, 'items')
        }
      }
      const target = join(outDir, 'initrd')
      const compressor = createZstdCompress({
        params: {
          [constants.ZSTD_c_compressionLevel]: level,
          [constants.ZSTD_c_windowLog]: initrdCompression.windowLog,
          [constants.ZSTD_c_hashLog]: initrdCompression.hashLog,
          [constants.ZSTD_c_checksumFlag]: 1,
        },
      })
      const written = pipeline(compressor, createWriteStream(target, { flags: 'wx' }), { signal })
      const take = (chunk: Uint8Array) =>
        new Promise<void>((resolve, reject) => {
          compressor.write(chunk, (error) => (error ? reject(error) : resolve()))
        })
      // One piece at a time. When the end comes while one still waits, Node ends the frame with that piece and then once more:
      // whether an empty frame follows would be a matter of speed.
      const given = (async () => {
        for await (const chunk of counted()) await take(chunk)
        compressor.end()
      })()
      await Promise.all([given, written])
      await chmod(target, 0o644)
    },
  })
  return { path: join(result.dir, 'initrd'), id: result.id }
}
