/**
 * A delta: how a device makes a bundle out of the system that it runs. docs/feed.md has the format in words.
 *
 * A bundle is a squashfs whose blocks are compressed, and the device has the plain images. So a delta first makes the
 * *plain* bundle, in which every compressed block of an image is as it was before, out of pieces of the images that are
 * here; then it is packed again, block by block.
 *
 * The images hold compressed data themselves: blocks of the root, the initrd. What of it has changed is patched as it
 * was before it was compressed, and compressed anew: of one changed function all of a block's bytes are others.
 */

/** The images of the running slot, by the class of the partition. */
export type DeltaSourceName = 'boot' | 'rootfs'

export const deltaSourceNames: readonly DeltaSourceName[] = ['boot', 'rootfs']

export interface DeltaSource {
  readonly name: DeltaSourceName
  /** From the beginning of the partition. */
  readonly sizeBytes: number
  /** Hexadecimal, of these bytes. */
  readonly sha256: string
}

/** dm-verity's hash tree, which is made anew: hashes don't compress, and one byte changes them all. */
export interface DeltaTree {
  /** Which bytes are hashed: of the plain bundle, or of the packed one. */
  readonly of: 'plain' | 'packed'
  readonly offsetBytes: number
  /** A multiple of 4 KiB, two blocks at least. */
  readonly lengthBytes: number
  /** Hexadecimal, 32 bytes. */
  readonly salt: string
}

/**
 * A zstd frame in a source. All of them unpacked, one after the other, are one more source behind those that the header
 * lists.
 */
export interface DeltaUnpacked {
  readonly source: number
  readonly offsetBytes: number
  /** As it is there. */
  readonly lengthBytes: number
  readonly plainBytes: number
}

/** How data within an image is compressed: what zstd is told, and how the data comes to it. */
export interface DeltaRepacking {
  /** `block`: in one piece, whose size zstd knows. `stream`: with no end in sight. */
  readonly form: 'block' | 'stream'
  readonly level: number
  readonly strategy?: number | undefined
  readonly minMatch?: number | undefined
  readonly searchLog?: number | undefined
  readonly targetLength?: number | undefined
  readonly windowLog?: number | undefined
  readonly hashLog?: number | undefined
  readonly checksum: boolean
}

export interface DeltaHeader {
  readonly sources: readonly DeltaSource[]
  readonly unpacked: readonly DeltaUnpacked[]
  readonly repackings: readonly DeltaRepacking[]
  /** Whose bytes those of `repackings` are, as in `process.versions`: another version may make others. */
  readonly zstd: string
  /** The bundle, as the channel names it too. */
  readonly result: { readonly sizeBytes: number; readonly sha256: string }
  readonly plainBytes: number
  /** zstd level and size of blocks that are packed. */
  readonly packing: { readonly level: number; readonly blockBytes: number }
  readonly trees: readonly DeltaTree[]
}

/** What is done with the next `lengthBytes` of the plain bundle. */
export interface DeltaFrame {
  readonly kind: 'as-is' | 'packed' | 'left-out'
  readonly lengthBytes: number
}

/** A piece of a source. */
export interface DeltaRange {
  /** Index into the header's sources. */
  readonly source: number
  readonly offsetBytes: number
  readonly lengthBytes: number
}

/** Each makes the next bytes of the plain bundle, or says what becomes of them. */
export type DeltaStep =
  | ({ readonly kind: 'copy' } & DeltaRange)
  /** A zstd frame that may refer to the ranges, one after the other, as to its dictionary. */
  | {
      readonly kind: 'patch'
      readonly ranges: readonly DeltaRange[]
      readonly lengthBytes: number
      readonly data: Uint8Array
    }
  /** Index into the header's trees; all that it hashes has been made. */
  | { readonly kind: 'tree'; readonly tree: number }
  /** What the next steps make, copies and patches of so many bytes together, goes in compressed. Index into the header's. */
  | { readonly kind: 'repack'; readonly repacking: number; readonly lengthBytes: number }

export const deltaVersion = 2

/** What a device takes: they bound its memory and its time. */
export const deltaLimits = {
  headerBytesMax: 64 << 10,
  framesMax: 65_536,
  treesMax: 2,
  /** Of a bundle, packed or plain. */
  bytesMax: 2 ** 30,
  sourceBytesMax: 2 ** 30,
  patchBytesMax: 2 << 20,
  patchDataBytesMax: (2 << 20) + (64 << 10),
  rangesMax: 64,
  /** All ranges of a patch. */
  dictionaryBytesMax: 8 << 20,
  /** More than that makes no plain bundle of a gigabyte out of useful pieces. */
  stepsMax: 1 << 20,
  unpackedMax: 512,
  /** Of all frames that are unpacked: they lie on the disk meanwhile. */
  unpackedBytesMax: 256 << 20,
  repackingsMax: 4,
  /** In one piece, in memory. */
  repackedBlockBytesMax: 1 << 20,
  repackedStreamBytesMax: 256 << 20,
  /** Tables of a block are no larger than its size makes them; those of a stream are. */
  blockLevelMax: 19,
  streamLevelMax: 12,
  repackWindowLogMax: 23,
  repackHashLogMax: 22,
  packingLevelMax: 12,
  packingBlockBytesMax: 1 << 20,
  /** zstd's window: what a patch may look back, dictionary included. */
  windowLog: 24,
} as const

export class DeltaError extends Error {
  override readonly name = 'DeltaError'
}

export const magic = 'atxdelta'
/** Magic, version, length of the header, number of frames. */
export const preambleBytes = 20
export const frameBytes = 5
export const rangeBytes = 9
export const frameKinds = ['as-is', 'packed', 'left-out'] as const
export const stepCodes = { end: 0, copy: 1, patch: 2, tree: 3, repack: 4 } as const
/** After the code: index, lengthBytes. */
export const repackBytes = 5
/** After the code: lengthBytes, dataBytes, count of ranges. */
export const patchHeadBytes = 9
