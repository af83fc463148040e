import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { readPayloadLayout } from '@atomixos/image/bundle/payload-layout.ts'
import type { BuiltRelease } from './releases.ts'

const blockBytes = 4096
const indexBytesPerBlock = 32

/**
 * What RAUC's adaptive mode (block-hash-index) would fetch of a bundle: the index, and each block of the payload's squashfs
 * in which something is that the old image has not. Computed from the images.
 */
export async function adaptiveBytes(from: BuiltRelease, to: BuiltRelease): Promise<number> {
  const layout = readPayloadLayout(to.bundlePath)
  const pairs = [
    ['boot.vfat', from.bootSlotPath, to.bootSlotPath],
    ['rootfs.squashfs', from.rootfsPath, to.rootfsPath],
  ] as const
  let bytes = 0
  for (const [filename, oldPath, newPath] of pairs) {
    const old = new Set(hashes(await readFile(oldPath)))
    const wanted = hashes(await readFile(newPath))
    const blocks = layout.files.find((file) => file.filename === filename)?.blocks ?? []
    const touched = new Set<number>()
    for (const [index, hash] of wanted.entries()) {
      if (!old.has(hash)) touched.add(Math.floor((index * blockBytes) / layout.blockBytes))
    }
    for (const index of touched) bytes += blocks[index]?.diskBytes ?? 0
    bytes += wanted.length * indexBytesPerBlock
  }
  return bytes
}

function hashes(image: Buffer): string[] {
  return Array.from({ length: Math.ceil(image.byteLength / blockBytes) }, (_, index) =>
    createHash('sha256')
      .update(image.subarray(index * blockBytes, (index + 1) * blockBytes))
      .digest('base64'),
  )
}
