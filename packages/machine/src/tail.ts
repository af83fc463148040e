import { closeSync, fstatSync, openSync, readSync } from 'node:fs'

/** The last lines of a log for an error message; empty when there is none. Synchronous: errors don't wait. */
export function tailOfFile(path: string, lines: number, bytesMax = 16 * 1024): string {
  let file: number
  try {
    file = openSync(path, 'r')
  } catch {
    return ''
  }
  try {
    const { size } = fstatSync(file)
    const buffer = Buffer.alloc(Math.min(size, bytesMax))
    readSync(file, buffer, 0, buffer.byteLength, size - buffer.byteLength)
    return buffer.toString().trimEnd().split('\n').slice(-lines).join('\n')
  } finally {
    closeSync(file)
  }
}
