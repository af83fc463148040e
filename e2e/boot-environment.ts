import { crc32 } from 'node:zlib'

/** One copy of U-Boot's redundant environment and where the two lie on the card, as docs/firmware.md says. */
export const environmentBytes = 0x4000
export const environmentOffsets = [0x0, 0x80000] as const

/**
 * An environment copy with a valid checksum: CRC32 of the data, a flag byte (the higher one wins), then
 * `name=value` strings, each ended by a NUL, and one more NUL.
 */
export function environmentCopy(variables: Readonly<Record<string, string>>, flag: number): Buffer {
  const copy = Buffer.alloc(environmentBytes)
  const text = Object.entries(variables).map(([name, value]) => `${name}=${value}\0`)
  copy.write(`${text.join('')}\0`, 5, 'latin1')
  copy[4] = flag
  copy.writeUInt32LE(crc32(copy.subarray(5)), 0)
  return copy
}
