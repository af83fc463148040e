/**
 * A delta: how a device makes a bundle out of the system that it runs. docs/feed.md has the format in words.
 *
 * A bundle is a squashfs whose blocks are compressed, and the device has the plain images. So a delta first makes the
 * *plain* bundle, in which every compressed block of an image is as it was before, out of pieces of the images that are
 * here; then it is packed again, block by block.
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

export interface DeltaHeader {
  readonly sources: readonly DeltaSource[]
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

/** Each makes the next bytes of the plain bundle. */
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

export const deltaVersion = 1

/** What a device takes: they bound its memory and its time. */
export const deltaLimits = {
  headerBytesMax: 16 << 10,
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
export const stepCodes = { end: 0, copy: 1, patch: 2, tree: 3 } as const
/** After the code: lengthBytes, dataBytes, count of ranges. */
export const patchHeadBytes = 9
