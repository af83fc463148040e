import { compressorZstd, superblockBytes, superblockFlags } from './format.ts'

export interface Superblock {
  readonly inodeCount: number
  readonly timeSeconds: number
  readonly blockBytes: number
  readonly fragmentCount: number
  readonly idCount: number
  readonly rootReference: bigint
  /** Up to the end of the last table, without padding. */
  readonly bytesUsed: number
  readonly starts: {
    readonly ids: bigint
    readonly xattrs: bigint
    readonly inodes: bigint
    readonly directories: bigint
    readonly fragments: bigint
    readonly exports: bigint
  }
  readonly hasXattrs: boolean
}

export function superblock(values: Superblock): Uint8Array {
  const bytes = Buffer.alloc(superblockBytes)
  bytes.write('hsqs', 'latin1')
  bytes.writeUInt32LE(values.inodeCount, 4)
  bytes.writeUInt32LE(values.timeSeconds, 8)
  bytes.writeUInt32LE(values.blockBytes, 12)
  bytes.writeUInt32LE(values.fragmentCount, 16)
  bytes.writeUInt16LE(compressorZstd, 20)
  bytes.writeUInt16LE(Math.log2(values.blockBytes), 22)
  bytes.writeUInt16LE(
    superblockFlags.duplicatesRemoved |
      superblockFlags.exportable |
      superblockFlags.compressorOptions |
      (values.hasXattrs ? 0 : superblockFlags.noXattrs),
    24,
  )
  bytes.writeUInt16LE(values.idCount & 0xffff, 26)
  bytes.writeUInt16LE(4, 28)
  bytes.writeUInt16LE(0, 30)
  bytes.writeBigUInt64LE(values.rootReference, 32)
  bytes.writeBigUInt64LE(BigInt(values.bytesUsed), 40)
  bytes.writeBigUInt64LE(values.starts.ids, 48)
  bytes.writeBigUInt64LE(values.starts.xattrs, 56)
  bytes.writeBigUInt64LE(values.starts.inodes, 64)
  bytes.writeBigUInt64LE(values.starts.directories, 72)
  bytes.writeBigUInt64LE(values.starts.fragments, 80)
  bytes.writeBigUInt64LE(values.starts.exports, 88)
  return bytes
}
