import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { zstdDecompressSync } from 'node:zlib'
import {
  compressorZstd,
  dataStoredFlag,
  metadataBlockBytes,
  metadataStoredFlag,
  noFragment,
  superblockBytes,
} from '../squashfs/format.ts'

/** Where the images lie in a payload: every block of every file, in the order in which they are in the file. */
export interface PayloadLayout {
  readonly blockBytes: number
  /** zstd level of the compressor options. */
  readonly level: number
  readonly files: readonly PayloadFile[]
}

export interface PayloadFile {
  readonly filename: string
  readonly sizeBytes: number
  readonly blocks: readonly PayloadBlock[]
}

export interface PayloadBlock {
  readonly kind: 'hole' | 'stored' | 'packed'
  /** In the payload. */
  readonly offsetBytes: number
  readonly diskBytes: number
  readonly plainBytes: number
}

/** A payload that is not as ours are; the message says in what. */
export class PayloadLayoutError extends Error {
  override readonly name = 'PayloadLayoutError'
}

/** Reads the squashfs that a bundle begins with. Throws PayloadLayoutError. */
export function readPayloadLayout(path: string): PayloadLayout {
  const file = openSync(path, 'r')
  try {
    return new LayoutReader(file).layout()
  } finally {
    closeSync(file)
  }
}

const optionsBytes = 6
const fileTypes = { basic: 2, extended: 9 } as const
const directoryTypes = { basic: 1, extended: 8 } as const
/** Of a payload with a few images; what is larger is something else. */
const listingBytesMax = 64 << 10
const blocksMax = 1 << 20

class LayoutReader {
  readonly #file: number
  readonly #sizeBytes: number

  constructor(file: number) {
    this.#file = file
    this.#sizeBytes = fstatSync(file).size
  }

  layout(): PayloadLayout {
    const superblock = this.#read(0, superblockBytes + optionsBytes)
    if (superblock.toString('latin1', 0, 4) !== 'hsqs') throw new PayloadLayoutError('it is no squashfs')
    if (superblock.readUInt16LE(20) !== compressorZstd)
      throw new PayloadLayoutError('it is not compressed with zstd')
    const blockBytes = superblock.readUInt32LE(12)
    if (blockBytes < 4096 || blockBytes > 1 << 20) throw new PayloadLayoutError('its block size is none')
    const inodes = new MetadataReader((at, length) => this.#read(at, length), wide(superblock, 64))
    const listings = new MetadataReader((at, length) => this.#read(at, length), wide(superblock, 72))
    const entries = readListing(inodes, listings, superblock.readBigUInt64LE(32))
    return {
      blockBytes,
      level: superblock.readUInt32LE(superblockBytes + 2),
      files: entries.flatMap(({ filename, position }) => {
        const read = readFileInode(inodes, { filename, position, blockBytes })
        return read === undefined ? [] : [read]
      }),
    }
  }

  #read(position: number, length: number): Buffer {
    const bytes = Buffer.alloc(length)
    if (position + length > this.#sizeBytes || readSync(this.#file, bytes, 0, length, position) !== length) {
      throw new PayloadLayoutError('it ends too early')
    }
    return bytes
  }
}

interface Position {
  readonly blockOffset: number
  readonly offset: number
}

/** Plain bytes of a table that lies in compressed pieces of 8 KiB. */
class MetadataReader {
  readonly #readAt: (position: number, length: number) => Buffer
  readonly #start: number
  readonly #blocks = new Map<number, { readonly plain: Buffer; readonly next: number }>()

  constructor(readAt: (position: number, length: number) => Buffer, start: number) {
    this.#readAt = readAt
    this.#start = start
  }

  read(position: Position, length: number): Buffer {
    const pieces: Buffer[] = []
    let { blockOffset, offset } = position
    for (let missing = length; missing > 0; ) {
      const { plain, next } = this.#block(blockOffset)
      const piece = plain.subarray(offset, offset + missing)
      if (piece.byteLength === 0) throw new PayloadLayoutError('its tables point outside of themselves')
      pieces.push(piece)
      missing -= piece.byteLength
      blockOffset = next
      offset = 0
    }
    return Buffer.concat(pieces)
  }

  #block(blockOffset: number): { readonly plain: Buffer; readonly next: number } {
    const known = this.#blocks.get(blockOffset)
    if (known !== undefined) return known
    const header = this.#readAt(this.#start + blockOffset, 2).readUInt16LE()
    const length = header & ~metadataStoredFlag
    const body = this.#readAt(this.#start + blockOffset + 2, length)
    const plain = (header & metadataStoredFlag) !== 0 ? body : unpack(body)
    const block = { plain, next: blockOffset + 2 + length }
    this.#blocks.set(blockOffset, block)
    return block
  }
}

function unpack(body: Buffer): Buffer {
  try {
    return zstdDecompressSync(body, { maxOutputLength: metadataBlockBytes })
  } catch (cause) {
    throw new PayloadLayoutError('its tables are damaged', { cause })
  }
}

interface Entry {
  readonly filename: string
  readonly position: Position
}

/** The files of the root folder, which is all that our payloads have. */
function readListing(inodes: MetadataReader, listings: MetadataReader, root: bigint): Entry[] {
  const position = { blockOffset: Number(root >> 16n), offset: Number(root & 0xffffn) }
  const type = inodes.read(position, 2).readUInt16LE()
  const extended = type === directoryTypes.extended
  if (!extended && type !== directoryTypes.basic) throw new PayloadLayoutError('its root is no folder')
  const inode = inodes.read(position, extended ? 40 : 32)
  const size = extended ? inode.readUInt32LE(20) : inode.readUInt16LE(24)
  const listingBytes = size - 3
  if (listingBytes < 0 || listingBytes > listingBytesMax)
    throw new PayloadLayoutError('it has too many files')
  const listing = listings.read(
    extended
      ? { blockOffset: inode.readUInt32LE(24), offset: inode.readUInt16LE(34) }
      : { blockOffset: inode.readUInt32LE(16), offset: inode.readUInt16LE(26) },
    listingBytes,
  )
  const entries: Entry[] = []
  for (let at = 0; at + 12 <= listing.byteLength; ) {
    const count = listing.readUInt32LE(at) + 1
    const blockOffset = listing.readUInt32LE(at + 4)
    at += 12
    for (let i = 0; i < count && at + 8 <= listing.byteLength; i++) {
      const nameBytes = listing.readUInt16LE(at + 6) + 1
      const isFile = listing.readUInt16LE(at + 4) === fileTypes.basic
      const offset = listing.readUInt16LE(at)
      const filename = listing.toString('utf8', at + 8, at + 8 + nameBytes)
      if (isFile) entries.push({ filename, position: { blockOffset, offset } })
      at += 8 + nameBytes
    }
  }
  return entries
}

/** undefined: it is so small that it shares a block with others. */
function readFileInode(
  inodes: MetadataReader,
  { filename, position, blockBytes }: Entry & { readonly blockBytes: number },
): PayloadFile | undefined {
  const type = inodes.read(position, 2).readUInt16LE()
  const extended = type === fileTypes.extended
  const headBytes = extended ? 56 : 32
  const head = inodes.read(position, headBytes)
  const dataOffset = extended ? wide(head, 16) : head.readUInt32LE(16)
  const fragment = head.readUInt32LE(extended ? 44 : 20)
  const sizeBytes = extended ? wide(head, 24) : head.readUInt32LE(28)
  const tailBytes = fragment === noFragment ? 0 : sizeBytes % blockBytes
  const count = Math.ceil((sizeBytes - tailBytes) / blockBytes)
  if (count > blocksMax) throw new PayloadLayoutError(`${filename} is too large`)
  if (count === 0) return undefined
  if (tailBytes > 0) throw new PayloadLayoutError(`the end of ${filename} is in a shared block`)
  const lengths = inodes.read(position, headBytes + 4 * count).subarray(headBytes)
  const blocks: PayloadBlock[] = []
  let offsetBytes = dataOffset
  for (let i = 0; i < count; i++) {
    const word = lengths.readUInt32LE(4 * i)
    const diskBytes = word & (dataStoredFlag - 1)
    const plainBytes = Math.min(blockBytes, sizeBytes - i * blockBytes)
    const stored = (word & dataStoredFlag) !== 0
    if (stored && diskBytes !== plainBytes)
      throw new PayloadLayoutError(`${filename} has a block of a wrong size`)
    const kind = word === 0 ? 'hole' : stored ? 'stored' : 'packed'
    blocks.push({ kind, offsetBytes, diskBytes, plainBytes })
    offsetBytes += diskBytes
  }
  return { filename, sizeBytes, blocks }
}

function wide(bytes: Buffer, offset: number): number {
  return Number(bytes.readBigUInt64LE(offset))
}
