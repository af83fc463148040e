/** A zstd frame in other bytes. */
export interface ZstdFrame {
  readonly offsetBytes: number
  readonly diskBytes: number
  /** What it unpacks to, when its header says so. */
  readonly plainBytes: number | undefined
}

const magic = 0xfd2fb528
const leastBytes = 9

/**
 * Zstd frames in an image, by what they begin with and the lengths of their blocks (RFC 8878, 3.1.1): of a squashfs the
 * blocks of files and of tables, of a boot partition an initrd. What only looks like one is for the caller to find
 * out, who unpacks it. In order, none within another. Pure.
 */
export function* findZstdFrames(bytes: Buffer, leastFrameBytes = leastBytes): Generator<ZstdFrame> {
  const needle = Buffer.alloc(4)
  needle.writeUInt32LE(magic)
  for (let at = bytes.indexOf(needle); at >= 0; ) {
    const frame = frameAt(bytes, at)
    const found = frame !== undefined && frame.diskBytes >= leastFrameBytes
    if (found) yield frame
    at = bytes.indexOf(needle, at + (frame?.diskBytes ?? 1))
  }
}

/** undefined: it is none, or goes on behind the end. */
function frameAt(bytes: Buffer, offsetBytes: number): ZstdFrame | undefined {
  const descriptor = bytes[offsetBytes + 4]
  // A reserved bit, or a dictionary, which none of ours has.
  if (descriptor === undefined || (descriptor & 0x0b) !== 0) return undefined
  const single = (descriptor & 0x20) !== 0
  const sizeAt = offsetBytes + (single ? 5 : 6)
  const sizeFlag = descriptor >> 6
  const sizeBytes = sizeFlag === 0 ? (single ? 1 : 0) : 1 << sizeFlag
  let at = sizeAt + sizeBytes
  if (at + 3 > bytes.byteLength) return undefined
  const plainBytes = sizeBytes === 0 ? undefined : contentBytes(bytes, sizeAt, sizeBytes)
  for (let last = false; !last; ) {
    if (at + 3 > bytes.byteLength) return undefined
    const header = bytes.readUIntLE(at, 3)
    last = (header & 1) !== 0
    const kind = (header >> 1) & 3
    const length = header >> 3
    if (kind === 3 || length > blockBytesMax) return undefined
    at += 3 + (kind === 1 ? 1 : length)
  }
  if ((descriptor & 0x04) !== 0) at += 4
  return at > bytes.byteLength ? undefined : { offsetBytes, diskBytes: at - offsetBytes, plainBytes }
}

const blockBytesMax = 128 << 10

function contentBytes(bytes: Buffer, at: number, sizeBytes: number): number {
  switch (sizeBytes) {
    case 2:
      return bytes.readUInt16LE(at) + 256
    case 8:
      return Number(bytes.readBigUInt64LE(at))
    default:
      return bytes.readUIntLE(at, sizeBytes)
  }
}
