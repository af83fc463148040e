import { createHash } from 'node:crypto'
import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs'
import { HashTree, verityBlockBytes } from '@atomixos/config/delta/index.ts'

/** What a kernel needs to mount the data with its integrity checked. */
export interface VerityParameters {
  /** Hex; trusting this one hash is trusting the whole image. */
  readonly rootHash: string
  /** Hex. */
  readonly salt: string
  readonly dataBytes: number
  /** Where the verity superblock is: right after the data. */
  readonly hashOffsetBytes: number
  /** Data, superblock and tree. */
  readonly totalBytes: number
}

/** Read at a time. */
const chunkBytes = 256 * verityBlockBytes

/**
 * Appends a dm-verity superblock and hash tree (format 1, SHA-256, blocks of 4 KiB) to an image whose size is a
 * multiple of 4 KiB. The salt is the same for every image: it only keeps the tree from being one that was
 * computed for another purpose, and a random one would make every build differ.
 */
export function appendVerity(imagePath: string, purpose: string): VerityParameters {
  const salt = saltFor(purpose)
  const { dataBytes, ...hashed } = appendTail(imagePath, salt, (bytes, tree) =>
    Buffer.concat([superblock(bytes, salt), tree]),
  )
  return { ...hashed, dataBytes, hashOffsetBytes: dataBytes }
}

/** Appends the tree alone, for whoever keeps salt and sizes elsewhere; otherwise as `appendVerity`. */
export function appendHashTree(
  imagePath: string,
  purpose: string,
): Omit<VerityParameters, 'hashOffsetBytes'> {
  return appendTail(imagePath, saltFor(purpose), (_, tree) => tree)
}

/** The tree of the file's first `dataBytes`, its smallest level first, and the hash above it. */
export function hashTree(
  file: number,
  dataBytes: number,
  salt: Buffer,
): { readonly rootHash: string; readonly tree: Buffer } {
  const hashed = new HashTree(dataBytes, salt)
  const chunk = Buffer.alloc(Math.min(chunkBytes, dataBytes))
  for (let position = 0; position < dataBytes; ) {
    const count = readSync(file, chunk, 0, Math.min(chunk.byteLength, dataBytes - position), position)
    if (count === 0) throw new Error('the image became shorter while it was read')
    hashed.update(chunk.subarray(0, count))
    position += count
  }
  return hashed.finish()
}

function saltFor(purpose: string): Buffer {
  return createHash('sha256').update(`atomixos verity ${purpose}`).digest()
}

function appendTail(
  imagePath: string,
  salt: Buffer,
  tailOf: (dataBytes: number, tree: Buffer) => Buffer,
): Omit<VerityParameters, 'hashOffsetBytes'> {
  const file = openSync(imagePath, 'r+')
  try {
    const dataBytes = fstatSync(file).size
    const { rootHash, tree } = hashTree(file, dataBytes, salt)
    const tail = tailOf(dataBytes, tree)
    let done = 0
    while (done < tail.byteLength)
      done += writeSync(file, tail, done, tail.byteLength - done, dataBytes + done)
    return { rootHash, salt: salt.toString('hex'), dataBytes, totalBytes: dataBytes + tail.byteLength }
  } finally {
    closeSync(file)
  }
}

/** The superblock in a block of its own; the tree, its smallest level first, begins with the next. */
function superblock(dataBytes: number, salt: Buffer): Buffer {
  const block = Buffer.alloc(verityBlockBytes)
  block.write('verity', 0, 'latin1')
  block.writeUInt32LE(1, 8)
  block.writeUInt32LE(1, 12)
  // A UUID that follows from the salt.
  salt.copy(block, 16, 0, 16)
  block[22] = (block[22]! & 0x0f) | 0x80
  block[24] = (block[24]! & 0x3f) | 0x80
  block.write('sha256', 32, 'latin1')
  block.writeUInt32LE(verityBlockBytes, 64)
  block.writeUInt32LE(verityBlockBytes, 68)
  block.writeBigUInt64LE(BigInt(dataBytes / verityBlockBytes), 72)
  block.writeUInt16LE(salt.byteLength, 80)
  salt.copy(block, 88)
  return block
}
