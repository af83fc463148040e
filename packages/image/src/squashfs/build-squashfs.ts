import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { codeIdentity } from '../step/code-identity.ts'
import type { StepRunner } from '../step/step.ts'
import { treeIdentity } from '../tree/identity.ts'
import type { Tree } from '../tree/tree.ts'
import { appendVerity, type VerityParameters } from '../verity/verity.ts'
import { compressionIdentity, type ZstdParameters } from './compression.ts'
import { writeSquashfs } from './write.ts'

export interface SquashfsBuildOptions {
  readonly tree: Tree
  readonly compression: ZstdParameters
  readonly sourceDateEpoch: number
}

/**
 * Blocks of one file, and each block that files share, begin at a multiple of 4 KiB, the grid on which RAUC compares
 * images. Costs a quarter of a percent. Of a replaced libssl then 3 MB are new instead of 82, of a changed line in a
 * small file 0.4 instead of 25.
 */
const alignBytes = 4096

export interface BuiltSquashfs {
  /** The file system, followed by its dm-verity tree. */
  readonly path: string
  /** Of the step that made it. */
  readonly id: string
  readonly verity: VerityParameters
  readonly inodeCount: number
  /** What is in the image, in bytes, by who brought it; the compressed sizes of files. */
  readonly bytesByOrigin: Readonly<Record<string, number>>
}

type Facts = Pick<BuiltSquashfs, 'verity' | 'inodeCount' | 'bytesByOrigin'>

/**
 * The root file system as squashfs with the hash tree that dm-verity checks it by. Compressed blocks of earlier
 * builds are taken from `cacheDir`.
 */
export async function buildSquashfs(
  options: SquashfsBuildOptions,
  { steps, cacheDir }: { steps: StepRunner; cacheDir: string },
): Promise<BuiltSquashfs> {
  const { tree, compression, sourceDateEpoch } = options
  const result = await steps.run({
    name: 'squashfs',
    code: codeIdentity(import.meta.url),
    inputs: {
      tree: treeIdentity(tree),
      compression: compressionIdentity(compression),
      sourceDateEpoch,
      alignBytes,
    },
    async run({ outDir, signal, task }) {
      const path = join(outDir, 'rootfs.squashfs')
      const summary = await writeSquashfs(tree, path, {
        compression,
        sourceDateEpoch,
        alignBytes,
        blockCacheDir: join(cacheDir, 'blocks'),
        signal,
        onProgress: (done, total) => task.progress(done, total, 'bytes'),
      })
      const facts: Facts = {
        verity: appendVerity(path, 'rootfs'),
        inodeCount: summary.inodeCount,
        bytesByOrigin: {
          ...Object.fromEntries(
            [...summary.bytesByOrigin].map(([origin, bytes]) => [origin, Math.round(bytes)]),
          ),
          'file system metadata': summary.metadataBytes,
        },
      }
      await writeFile(join(outDir, 'rootfs.json'), `${JSON.stringify(facts, undefined, 2)}\n`)
    },
  })
  const facts = JSON.parse(await readFile(join(result.dir, 'rootfs.json'), 'utf8')) as Facts
  return { path: join(result.dir, 'rootfs.squashfs'), id: result.id, ...facts }
}
