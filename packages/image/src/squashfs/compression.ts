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

/** Everything besides the input that decides the compressed bytes: for identities and cache keys. */
export function compressionIdentity(parameters: ZstdParameters): string {
  const { level, strategy, minMatch, searchLog, targetLength } = parameters
  const numbers = [level, strategy, minMatch, searchLog, targetLength].map((number) => number ?? '')
  return `zstd ${process.versions.zstd} sized ${numbers.join(',')}`
}

const zstdCompressAsync = promisify(zstdCompress)

/** On the thread pool. The frame carries its content size, and never needs a window beyond the input. */
export function compress(bytes: Uint8Array, parameters: ZstdParameters): Promise<Uint8Array> {
  return zstdCompressAsync(bytes, zstdOptions(bytes.byteLength, parameters))
}

export function compressSync(bytes: Uint8Array, parameters: ZstdParameters): Uint8Array {
  return zstdCompressSync(bytes, zstdOptions(bytes.byteLength, parameters))
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
  // Room for the worst case: one trip to the thread pool instead of one per 16 KiB of output.
  const chunkSize = Math.max(64, sizeBytes + (sizeBytes >> 8) + 64)
  // Without the size zstd announces the level's own window, 8 MiB at level 19: the kernel, which allots one
  // block, then refuses to decompress what every user-space program reads.
  return { params, chunkSize, pledgedSrcSize: sizeBytes }
}
