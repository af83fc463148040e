import { crc32 } from 'node:zlib'

/** The variables of the newer whole copy; undefined when there is none. */
export function readEnvironment(copies: readonly Buffer[]): ReadonlyMap<string, string> | undefined {
  const whole = copies.filter((copy) => crc32(copy.subarray(5)) === copy.readUInt32LE(0))
  whole.sort((a, b) => (isNewer(a[4]!, b[4]!) ? -1 : 1))
  const [newest] = whole
  if (newest === undefined) return undefined
  const variables = new Map<string, string>()
  for (const entry of newest.toString('latin1', 5).split('\0')) {
    if (entry === '') break
    const equals = entry.indexOf('=')
    variables.set(entry.slice(0, equals), entry.slice(equals + 1))
  }
  return variables
}

/** The flag counts writes and wraps from 255 to 0. */
function isNewer(a: number, b: number): boolean {
  return (a === 0 && b === 255) || (a > b && !(a === 255 && b === 0))
}
