import { randomBytes } from 'node:crypto'
import { constants, zstdCompressSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { findZstdFrames } from './zstd-frames.ts'

const text = (lengthBytes: number) =>
  Buffer.from('word '.repeat(lengthBytes / 5 + 1)).subarray(0, lengthBytes)

test('frames of every kind are found in other bytes, each with its length', () => {
  const checksum = { params: { [constants.ZSTD_c_checksumFlag]: 1 } }
  const pieces = [
    ...[0, 100, 300, 70_000].map((size) => ({ plain: text(size), options: { pledgedSrcSize: size } })),
    { plain: text(300_000), options: checksum },
    // Stored, and in several blocks.
    { plain: randomBytes(400_000), options: checksum },
  ].map(({ plain, options }) => ({ plain, frame: zstdCompressSync(plain, options) }))
  const bytes = Buffer.concat(pieces.flatMap(({ frame }) => [Buffer.from('between'), frame]))
  const found = [...findZstdFrames(bytes)]
  expect(found.map(({ diskBytes }) => diskBytes)).toEqual(pieces.map(({ frame }) => frame.byteLength))
  for (const [i, { offsetBytes, diskBytes, plainBytes }] of found.entries()) {
    const { frame, plain } = pieces[i]!
    expect(bytes.subarray(offsetBytes, offsetBytes + diskBytes).equals(frame)).toBe(true)
    if (plainBytes !== undefined) expect(plainBytes).toBe(plain.byteLength)
  }
  expect([...findZstdFrames(bytes, 300_000)].map(({ offsetBytes }) => offsetBytes)).toEqual([
    found.at(-1)!.offsetBytes,
  ])
})

test('what is cut off or only begins like one is none', () => {
  const frame = zstdCompressSync(text(100_000))
  for (let length = 0; length < frame.byteLength; length++) {
    expect([...findZstdFrames(frame.subarray(0, length))]).toEqual([])
  }
  const magic = frame.subarray(0, 4)
  for (let i = 0; i < 500; i++) {
    const noise = Buffer.concat([magic, randomBytes(2000)])
    for (const { offsetBytes, diskBytes } of findZstdFrames(noise)) {
      expect(offsetBytes + diskBytes).toBeLessThanOrEqual(noise.byteLength)
    }
  }
})
