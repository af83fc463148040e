import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { compress, compressSync } from './compression.ts'

// RFC 8878, 3.1.1.1: the kernel allots one block for the window and refuses frames that announce more.
test.each([1, 4096, 300_000, 1024 * 1024])(
  'a frame of %i bytes needs no window beyond its content',
  async (size) => {
    const bytes = Buffer.concat([
      randomBytes(Math.min(size, 65_536)),
      Buffer.alloc(Math.max(0, size - 65_536), 'ab'),
    ])
    for (const frame of [await compress(bytes, { level: 19 }), compressSync(bytes, { level: 3 })]) {
      const singleSegment = (frame[4]! & 0x20) !== 0
      expect(singleSegment).toBe(true)
    }
  },
)
