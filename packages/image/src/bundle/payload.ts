import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { type ReleaseFile, releaseFileName } from '@atomixos/config'
import { compressionIdentity, type ZstdParameters } from '../squashfs/compression.ts'
import { writeSquashfs } from '../squashfs/write.ts'
import type { Tree, TreeNode } from '../tree/tree.ts'
import { appendHashTree } from '../verity/verity.ts'
import type { BundleImage, BundleVerity } from './manifest.ts'

/** An image with the place of its bytes, which must not change while a payload is made of it. */
export interface PayloadImage extends BundleImage {
  readonly path: string
}

/** What is signed: the images, and the hash tree that vouches for them. */
export interface Payload {
  /** squashfs, then its hash tree. */
  readonly path: string
  readonly verity: BundleVerity
  readonly images: readonly BundleImage[]
}

/**
 * The kernel in the boot slot is what compresses; the root file system is compressed already. A level that takes a
 * second is within 1 % of one that takes six.
 */
const compression: ZstdParameters = { level: 9 }

/**
 * Small, so that a device which fetches parts of a bundle fetches little beside them; the index of all blocks is a
 * few kilobytes.
 */
const blockBytes = 64 * 1024

/** For the identity of a step: everything that decides the payload's bytes besides the images. */
export function payloadIdentity(): unknown {
  return { compression: compressionIdentity(compression), blockBytes }
}

/** A file of any place. The end of `filename` tells RAUC how to write it: `.vfat`, `.squashfs`. */
export interface ImageFile {
  readonly slotClass: string
  readonly filename: string
  readonly path: string
}

/** Reads and hashes the files. */
export function payloadImages(files: readonly ImageFile[]): Promise<PayloadImage[]> {
  return Promise.all(
    files.map(async (file) => {
      const hash = createHash('sha256')
      for await (const chunk of createReadStream(file.path)) hash.update(chunk as Buffer)
      return payloadImage({ ...file, sha256: hash.digest('hex') })
    }),
  )
}

export async function payloadImage(file: ImageFile & { readonly sha256: string }): Promise<PayloadImage> {
  return { ...file, sizeBytes: (await stat(file.path)).size }
}

/** Writes squashfs and hash tree to `outPath`. Same images and time stamp, same bytes. */
export async function writePayload(
  images: readonly PayloadImage[],
  outPath: string,
  options: {
    readonly sourceDateEpoch: number
    /** Empty; what is left there is of no use afterwards. */
    readonly workDir: string
    readonly signal?: AbortSignal
    readonly onProgress?: (doneBytes: number, totalBytes: number) => void
    /** Without it a device does not know what it has, and refuses. */
    readonly release?: ReleaseFile
  },
): Promise<Payload> {
  const { sourceDateEpoch, workDir, signal, onProgress } = options
  await writeSquashfs(payloadTree(images, options.release), outPath, {
    compression,
    blockBytes,
    sourceDateEpoch,
    // The whole payload is kept; to keep its blocks as well would be the same bytes twice.
    blockCacheDir: workDir,
    ...(signal === undefined ? {} : { signal }),
    ...(onProgress === undefined ? {} : { onProgress }),
  })
  const { rootHash, salt, dataBytes, totalBytes } = appendHashTree(outPath, 'bundle')
  return {
    path: outPath,
    verity: { rootHash, salt, treeBytes: totalBytes - dataBytes },
    images: images.map(({ slotClass, filename, sizeBytes, sha256 }) => ({
      slotClass,
      filename,
      sizeBytes,
      sha256,
    })),
  }
}

/** Names a build by what is in it. 32 hexadecimal digits. */
export function buildIdentity(images: readonly BundleImage[]): string {
  const text = images.map(({ slotClass, sha256 }) => `${slotClass} ${sha256}\n`).join('')
  return createHash('sha256').update(text).digest('hex').slice(0, 32)
}

function payloadTree(images: readonly PayloadImage[], release: ReleaseFile | undefined): Tree {
  const owner = { uid: 0, gid: 0, origin: 'bundle' }
  const nodes: [string, TreeNode][] = images.map(({ filename, path, sizeBytes, sha256 }) => [
    `/${filename}`,
    {
      type: 'file',
      mode: 0o644,
      ...owner,
      content: { kind: 'range', path, offsetBytes: 0, sizeBytes, sha256 },
    },
  ])
  if (release !== undefined) {
    const bytes = Buffer.from(
      `${JSON.stringify({ compatible: release.compatible, version: release.version })}\n`,
    )
    nodes.push([
      `/${releaseFileName}`,
      { type: 'file', mode: 0o644, ...owner, content: { kind: 'bytes', bytes } },
    ])
  }
  return new Map([['/', { type: 'directory', mode: 0o755, ...owner }], ...nodes])
}
