import type { TreeNode } from '../tree/tree.ts'
import { extendedInode, inodeTypes, listingExtraBytes, noFragment, noXattrs } from './format.ts'
import type { MetadataPosition } from './metadata.ts'

/** What all inodes begin with. */
export interface InodeCommon {
  readonly mode: number
  readonly uidIndex: number
  readonly gidIndex: number
  readonly timeSeconds: number
  readonly number: number
  /** undefined: none. An inode with extended attributes has the extended form. */
  readonly xattrIndex: number | undefined
}

export interface FileInode {
  readonly sizeBytes: number
  /** Where its own blocks begin in the image; 0 when it has none. */
  readonly dataOffset: number
  /** On-disk lengths with their flag; 0 is a hole. */
  readonly blockLengths: readonly number[]
  readonly holeBytes: number
  readonly tail: { readonly fragment: number; readonly offsetBytes: number } | undefined
}

export interface DirectoryInode {
  readonly listing: MetadataPosition
  readonly listingBytes: number
  readonly subdirectories: number
  readonly parentNumber: number
}

/** Largest listing whose length, with the 3 bytes that are always added, fits the basic form's 16 bits. */
const basicListingBytesMax = 0xffff - listingExtraBytes

export function directoryInode(common: InodeCommon, directory: DirectoryInode): Uint8Array {
  const { listing, listingBytes, subdirectories, parentNumber } = directory
  const links = subdirectories + 2
  if (common.xattrIndex === undefined && listingBytes <= basicListingBytesMax) {
    return record(common, inodeTypes.directory, (out) => {
      out
        .u32(listing.blockOffset)
        .u32(links)
        .u16(listingBytes + listingExtraBytes)
      out.u16(listing.offset).u32(parentNumber)
    })
  }
  return record(common, inodeTypes.directory + extendedInode, (out) => {
    out
      .u32(links)
      .u32(listingBytes + listingExtraBytes)
      .u32(listing.blockOffset)
      .u32(parentNumber)
    // No index: lookups in a listing of many blocks read them in turn.
    out
      .u16(0)
      .u16(listing.offset)
      .u32(common.xattrIndex ?? noXattrs)
  })
}

export function fileInode(common: InodeCommon, file: FileInode): Uint8Array {
  const { sizeBytes, dataOffset, blockLengths, holeBytes, tail } = file
  const fragment = tail?.fragment ?? noFragment
  const fragmentOffset = tail?.offsetBytes ?? 0
  const basic =
    common.xattrIndex === undefined && holeBytes === 0 && dataOffset <= 0xffffffff && sizeBytes <= 0xffffffff
  return record(common, basic ? inodeTypes.file : inodeTypes.file + extendedInode, (out) => {
    if (basic) {
      out.u32(dataOffset).u32(fragment).u32(fragmentOffset).u32(sizeBytes)
    } else {
      out.u64(dataOffset).u64(sizeBytes).u64(holeBytes).u32(1).u32(fragment).u32(fragmentOffset)
      out.u32(common.xattrIndex ?? noXattrs)
    }
    for (const length of blockLengths) out.u32(length)
  })
}

/** Symlinks, devices and fifos: all there is to them is in the inode. */
export function specialInode(
  common: InodeCommon,
  node: Exclude<TreeNode, { type: 'file' | 'directory' }>,
): Uint8Array {
  const extended = common.xattrIndex !== undefined
  return record(common, inodeTypes[node.type] + (extended ? extendedInode : 0), (out) => {
    out.u32(1)
    if (node.type === 'symlink') {
      const target = Buffer.from(node.target)
      out.u32(target.byteLength).bytes(target)
    } else if (node.type !== 'fifo') {
      out.u32(deviceNumber(node.major, node.minor))
    }
    if (extended) out.u32(common.xattrIndex)
  })
}

/** As the kernel's new_encode_dev: 12 bits of major number between the low 8 and high 12 bits of the minor. */
export function deviceNumber(major: number, minor: number): number {
  if (major > 0xfff || minor > 0xfffff)
    throw new RangeError(`device ${major}:${minor} has too large a number`)
  return ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0
}

function record(common: InodeCommon, type: number, body: (out: RecordWriter) => void): Uint8Array {
  const out = new RecordWriter()
  out.u16(type).u16(common.mode).u16(common.uidIndex).u16(common.gidIndex)
  out.u32(common.timeSeconds).u32(common.number)
  body(out)
  return out.finish()
}

class RecordWriter {
  #buffer = Buffer.alloc(256)
  #length = 0

  u16(value: number): this {
    const at = this.#take(2)
    this.#buffer.writeUInt16LE(value, at)
    return this
  }

  u32(value: number): this {
    const at = this.#take(4)
    this.#buffer.writeUInt32LE(value, at)
    return this
  }

  u64(value: number): this {
    const at = this.#take(8)
    this.#buffer.writeBigUInt64LE(BigInt(value), at)
    return this
  }

  bytes(value: Uint8Array): this {
    const at = this.#take(value.byteLength)
    this.#buffer.set(value, at)
    return this
  }

  finish(): Uint8Array {
    return this.#buffer.subarray(0, this.#length)
  }

  #take(count: number): number {
    const at = this.#length
    this.#length += count
    if (this.#length > this.#buffer.byteLength) {
      this.#buffer = Buffer.concat([this.#buffer], Math.max(this.#length, this.#buffer.byteLength * 2))
    }
    return at
  }
}
