import { setImmediate } from 'node:timers/promises'
import { zstdDecompressSync } from 'node:zlib'
import { type DeltaRepacking, type DeltaUnpacked, deltaLimits, repackWhole } from '@atomixos/config'
import type { Match } from './match.ts'
import { findZstdFrames, type ZstdFrame } from './zstd-frames.ts'

/** Compressed data within an image whose bytes are new, and that is made again bit by bit of what was compressed. */
export interface RepackedPart {
  /** In the plain bundle. */
  readonly at: number
  readonly diskBytes: number
  readonly plain: Buffer
  /** Index into the ways that were given. */
  readonly repacking: number
}

/** Shorter ones, such as the tables of a file system, are not worth a step. */
const frameBytesMin = 16 << 10
/** Of a frame that is mostly copied, nothing is gained. */
const newBytesMin = 1 << 10

/** A stretch of bytes, in one of the two. */
interface Stretch {
  readonly start: number
  readonly end: number
}

/**
 * Which frames of images differ from all old bytes, and can be made again in one of `ways`: what can't stays as it is.
 * In order of place.
 */
export async function findRepackedParts(
  bytes: Buffer,
  options: {
    readonly images: readonly { readonly offsetBytes: number; readonly sizeBytes: number }[]
    readonly copies: readonly Match[]
    readonly ways: readonly DeltaRepacking[]
    readonly signal?: AbortSignal | undefined
  },
): Promise<RepackedPart[]> {
  const copied = options.copies.map(({ at, lengthBytes }) => ({ start: at, end: at + lengthBytes }))
  const parts: RepackedPart[] = []
  for (const { offsetBytes, sizeBytes } of options.images) {
    const image = bytes.subarray(offsetBytes, offsetBytes + sizeBytes)
    for (const frame of newFrames(image, offsetBytes, copied)) {
      options.signal?.throwIfAborted()
      await setImmediate()
      const packed = image.subarray(frame.offsetBytes, frame.offsetBytes + frame.diskBytes)
      const plain = unpack(packed, frame)
      if (plain === undefined) continue
      const repacking = await wayOf(packed, plain, options.ways)
      if (repacking === undefined) continue
      parts.push({ at: offsetBytes + frame.offsetBytes, diskBytes: frame.diskBytes, plain, repacking })
    }
  }
  return parts.toSorted((a, b) => a.at - b.at)
}

/** What the old images have in the place of it: frames that no copy takes from. As many as a delta may name. */
export function findReplacedFrames(
  sources: readonly { readonly bytes: Buffer; readonly copiedBytes: readonly Stretch[] }[],
): { readonly unpacked: DeltaUnpacked[]; readonly plain: Buffer } {
  const unpacked: DeltaUnpacked[] = []
  const pieces: Buffer[] = []
  let totalBytes = 0
  for (const [source, { bytes, copiedBytes }] of sources.entries()) {
    for (const frame of newFrames(bytes, 0, copiedBytes)) {
      const { offsetBytes, diskBytes: lengthBytes } = frame
      const plain = unpack(bytes.subarray(offsetBytes, offsetBytes + lengthBytes), frame)
      if (plain === undefined || unpacked.length === deltaLimits.unpackedMax) continue
      if (totalBytes + plain.byteLength > deltaLimits.unpackedBytesMax) continue
      unpacked.push({ source, offsetBytes, lengthBytes, plainBytes: plain.byteLength })
      pieces.push(plain)
      totalBytes += plain.byteLength
    }
  }
  return { unpacked, plain: Buffer.concat(pieces) }
}

/** Frames of an image at `placedAt` that are not in the stretches, which are in order. */
function* newFrames(image: Buffer, placedAt: number, copied: readonly Stretch[]): Generator<ZstdFrame> {
  for (const frame of findZstdFrames(image, frameBytesMin)) {
    const start = placedAt + frame.offsetBytes
    const end = start + frame.diskBytes
    const known = copied.reduce(
      (sum, stretch) => sum + Math.max(0, Math.min(end, stretch.end) - Math.max(start, stretch.start)),
      0,
    )
    if (frame.diskBytes - known >= newBytesMin) yield frame
  }
}

function unpack(packed: Buffer, { plainBytes }: ZstdFrame): Buffer | undefined {
  const mostBytes = deltaLimits.repackedStreamBytesMax
  if (plainBytes !== undefined && plainBytes > mostBytes) return undefined
  try {
    return zstdDecompressSync(packed, { maxOutputLength: plainBytes ?? mostBytes })
  } catch {
    // It only looked like a frame, or a hostile one.
    return undefined
  }
}

async function wayOf(
  packed: Buffer,
  plain: Buffer,
  ways: readonly DeltaRepacking[],
): Promise<number | undefined> {
  if (plain.byteLength === 0) return undefined
  for (const [index, way] of ways.entries()) {
    // Small ones are no streams of ours, and trying costs as much as making.
    const isBlock = plain.byteLength <= deltaLimits.repackedBlockBytesMax
    if (isBlock !== (way.form === 'block')) continue
    if ((await repackWhole(plain, way)).equals(packed)) return index
  }
  return undefined
}
