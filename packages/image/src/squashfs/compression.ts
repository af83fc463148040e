import { promisify } from 'node:util'
import { constants, zstdCompress, zstdCompressSync } from 'node:zlib'

/**
 * How data is compressed: a zstd level, and the parameters that differ from what that level stands for. The
 * same version of libzstd makes the same bytes of the same input, on any machine.
 */
export interface ZstdParameters {
  readonly level: number
  readonly strategy?: number
  readonly minMatch?: number
  readonly searchLog?: number
  readonly targetLength?: number
}

/**
 * Of the root file system of releases: level 19 with a little less search, which costs 0.3 % in size and saves a quarter of
 * the time. `bench/build` compares.
 */
export const releaseCompression = {
  level: 19,
  strategy: 8,
  minMatch: 3,
  searchLog: 4,
  targetLength: 64,
} as const satisfies ZstdParameters

/** Everything besides the input that decides the compressed bytes: for identities and cache keys. */
export function compressionIdentity(parameters: ZstdParameters): string {
  const { level, strategy, minMatch, searchLog, targetLength } = parameters
  const numbers = [level, strategy, minMatch, searchLog, targetLength].map((number) => number ?? '')
  return `zstd ${process.versions.zstd} sized ${numbers.join(',')}`
}

const zstdCompressAsync = promisify(zstdCompress)

/**
 * On the thread pool. The frame's window is no larger than the content: the kernel has no more room than a block,
 * and refuses what zstd's own tools and unsquashfs read without complaint.
 */
export async function compress(bytes: Uint8Array, parameters: ZstdParameters): Promise<Uint8Array> {
  const frame = await zstdCompressAsync(bytes, zstdOptions(bytes.byteLength, parameters))
  return refuseLargeWindow(frame, bytes.byteLength)
}

export function compressSync(bytes: Uint8Array, parameters: ZstdParameters): Uint8Array {
  return refuseLargeWindow(
    zstdCompressSync(bytes, zstdOptions(bytes.byteLength, parameters)),
    bytes.byteLength,
  )
}

function refuseLargeWindow(frame: Uint8Array, sizeBytes: number): Uint8Array {
  const windowBytes = frameWindowBytes(frame)
  if (windowBytes === undefined || windowBytes <= sizeBytes) return frame
  throw new Error(
    `zstd wants a window of ${windowBytes} bytes for ${sizeBytes}: the kernel could not read it`,
  )
}

/** From the frame header (RFC 8878, 3.1.1.1); undefined: the content's own size, which the header then carries. */
export function frameWindowBytes(frame: Uint8Array): number | undefined {
  const descriptor = frame[4]!
  if ((descriptor & 0x20) !== 0) return undefined
  const window = frame[5]!
  const base = 2 ** (10 + (window >> 3))
  return base + (base / 8) * (window & 7)
}

function zstdOptions(sizeBytes: number, parameters: ZstdParameters) {
  const params: Record<number, number> = { [constants.ZSTD_c_compressionLevel]: parameters.level }
  const set = (key: number, value: number | undefined) => {
    if (value !== undefined) params[key] = value
  }
  set(constants.ZSTD_c_strategy, parameters.strategy)
  set(constants.ZSTD_c_minMatch, parameters.minMatch)
  set(constants.ZSTD_c_searchLog, parameters.searchLog)
  set(constants.ZSTD_c_targetLength, parameters.targetLength)
  return {
    params,
    // Without it, the asynchronous form takes a window of up to 8 MiB, whatever the content's size.
    pledgedSrcSize: sizeBytes,
    // Room for the worst case: one trip to the thread pool instead of one per 16 KiB of output.
    chunkSize: Math.max(64, sizeBytes + (sizeBytes >> 8) + 64),
  }
}
