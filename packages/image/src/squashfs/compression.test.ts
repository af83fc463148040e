import { once } from 'node:events'
import { createZstdCompress, zstdDecompressSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { compress, compressionIdentity, compressSync, frameWindowBytes } from './compression.ts'

const sizes = [1, 255, 8192, 300_000, 1024 * 1024]
const text = (size: number) => Buffer.alloc(size, 'squashfs block ')

test.each(sizes.flatMap((size) => [1, 9, 19].map((level) => [size, level] as const)))(
  '%i bytes at level %i need no larger window than that',
  async (size, level) => {
    for (const frame of [await compress(text(size), { level }), compressSync(text(size), { level })]) {
      expect(frameWindowBytes(frame) ?? size).toBeLessThanOrEqual(size)
      expect(zstdDecompressSync(frame).equals(text(size))).toBe(true)
    }
  },
)

test('a frame made without the size has too large a window', async () => {
  const chunks: Buffer[] = []
  const stream = createZstdCompress()
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  stream.write(text(1000))
  stream.end(text(1000))
  await once(stream, 'end')
  expect(frameWindowBytes(Buffer.concat(chunks))).toBeGreaterThan(1024 * 1024)
})

test('both ways make the same bytes, whatever else is being compressed', async () => {
  const frames = await Promise.all(Array.from({ length: 6 }, () => compress(text(300_000), { level: 19 })))
  for (const frame of frames) expect(compressSync(text(300_000), { level: 19 })).toEqual(frame)
})

test('parameters and the version of zstd are in the identity', () => {
  expect(compressionIdentity({ level: 19 })).toContain(process.versions.zstd)
  expect(compressionIdentity({ level: 19, minMatch: 3 })).not.toBe(compressionIdentity({ level: 19 }))
})
