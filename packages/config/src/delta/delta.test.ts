import { describe, expect, test } from 'vitest'
import { DeltaError, type DeltaHeader, deltaLimits } from './format.ts'
import { HashTree } from './hash-tree.ts'
import { RepackingOutput } from './repack.ts'
import { patch, rebuilt, render, testDelta } from './test-deltas.ts'

const delta = await testDelta()

test('a delta leads to its bundle', async () => {
  const { bundle, problem } = await rebuilt(delta.bytes, delta.sources)
  expect(problem).toBeUndefined()
  expect(bundle.equals(delta.bundle)).toBe(true)
  expect(delta.bytes.byteLength).toBeLessThan(delta.bundle.byteLength / 20)
})

test('another source leads nowhere', async () => {
  const [boot, rootfs] = delta.sources.map((source) => Buffer.from(source))
  rootfs![7000] = rootfs![7000]! ^ 1
  const { problem } = await rebuilt(delta.bytes, [boot!, rootfs!])
  expect(problem).toEqual(new DeltaError('what it makes is not the bundle'))
})

describe('is refused with its reason:', () => {
  const { header, frames, steps } = delta
  const headed = (changes: Partial<DeltaHeader>) => render({ ...header, ...changes }, frames, steps)
  const stepped = (...more: Parameters<typeof render>[2]) => render(header, frames, more)
  const versioned = Buffer.from(delta.bytes)
  versioned.writeUInt32LE(3, 8)
  const longHeader = Buffer.from(delta.bytes)
  longHeader.writeUInt32LE(0x7fffffff, 12)
  const manyFrames = Buffer.from(delta.bytes)
  manyFrames.writeUInt32LE(0xffffffff, 16)
  const copy = { kind: 'copy', source: 0, offsetBytes: 0, lengthBytes: 100 } as const
  const repack = { kind: 'repack', repacking: 0, lengthBytes: 150 } as const
  const repacked = (changes: Partial<DeltaHeader['repackings'][number]>) =>
    headed({ repackings: [header.repackings[0]!, { ...header.repackings[1]!, ...changes }] })
  const unpacking = (changes: Partial<DeltaHeader['unpacked'][number]>) =>
    headed({ unpacked: [{ ...header.unpacked[0]!, ...changes }, header.unpacked[1]!] })
  const range = { source: 0, offsetBytes: 0, lengthBytes: 100 }
  test.each<[string, Buffer, string]>([
    ['something else', Buffer.from('<html>'.padEnd(100)), 'it is no delta'],
    ['a version of later', versioned, 'its version is 3; this system knows 2'],
    ['a header without end', longHeader, 'its header is larger than 65536'],
    ['frames without end', manyFrames, 'its list of frames is larger than 65536'],
    [
      'a gigabyte and one byte',
      headed({ plainBytes: 2 ** 30 + 1 }),
      'plain is no whole number from 1 to 1073741824',
    ],
    ['frames of other lengths', headed({ plainBytes: 5 }), 'its frames are not as long as the plain bundle'],
    [
      'a level that takes memory',
      headed({ packing: { level: 22, blockBytes: 1 } }),
      'the level of packing is no',
    ],
    [
      'an unknown source',
      headed({ sources: [{ ...header.sources[0]!, name: 'data' as 'boot' }] }),
      'a source has no known name',
    ],
    [
      'a tree over no blocks',
      headed({ trees: [{ ...header.trees[0]!, lengthBytes: 4096 }] }),
      'a tree is not over',
    ],
    ['a tree too many', stepped({ kind: 'tree', tree: 2 }), 'a step names a hash tree that is not there'],
    ['a tree too early', stepped({ kind: 'tree', tree: 1 }), 'a hash tree comes before what it hashes'],
    ['a copy from nowhere', stepped({ ...copy, source: 3 }), 'a step reads outside of its source'],
    [
      'a copy from behind the end',
      stepped({ ...copy, lengthBytes: 2 ** 31 }),
      'a step reads outside of its source',
    ],
    ['a copy of nothing', stepped({ ...copy, lengthBytes: 0 }), 'a step reads outside of its source'],
    [
      'a patch of too much',
      stepped({ ...patch(Buffer.alloc(9)), lengthBytes: 2 ** 22 } as never),
      'a patch is larger than 2097152',
    ],
    [
      'a patch that says too little',
      stepped({ ...patch(Buffer.alloc(9)), lengthBytes: 8 } as never),
      'a patch is damaged',
    ],
    [
      'a patch that says too much',
      stepped({ ...patch(Buffer.alloc(9)), lengthBytes: 10 } as never),
      'a patch is shorter than it says',
    ],
    [
      'a patch with a dictionary of nine megabytes',
      render({ ...header, unpacked: [], sources: [{ ...header.sources[0]!, sizeBytes: 9 << 20 }] }, frames, [
        { ...patch(Buffer.alloc(9)), ranges: [{ ...range, lengthBytes: 9 << 20 }] } as never,
      ]),
      'what a patch refers to is larger than 8388608',
    ],
    [
      'another zstd',
      headed({ zstd: '0.9.9' }),
      `it needs zstd 0.9.9; this system has ${process.versions.zstd}`,
    ],
    ['another zstd without a version', headed({ zstd: 'a\nb' }), 'it needs zstd of an unknown version'],
    ['a compressor that takes memory', repacked({ level: 13 }), 'the level of a repacking is no'],
    ['a window that takes memory', repacked({ windowLog: 24 }), 'windowLog of a repacking is no'],
    ['tables that take memory', repacked({ hashLog: 23 }), 'hashLog of a repacking is no'],
    ['tables that are none', repacked({ hashLog: 5 }), 'hashLog of a repacking is below 6'],
    ['another compressor', repacked({ form: 'brotli' as 'block' }), 'a repacking has no known form'],
    [
      'a frame from behind the end',
      unpacking({ offsetBytes: header.sources[1]!.sizeBytes - 10 }),
      'is outside of its source',
    ],
    ['a frame from nowhere', unpacking({ source: 2 }), 'an unpacked frame is in no known source'],
    ['a frame that is none', unpacking({ offsetBytes: 7 }), 'a frame of a source is damaged'],
    ['a frame cut off', unpacking({ lengthBytes: 100 }), 'a frame of a source is'],
    [
      'a frame that grows',
      unpacking({ plainBytes: 100 }),
      'a frame of a source is longer than the delta says',
    ],
    [
      'a frame that shrinks',
      unpacking({ plainBytes: 100_000 }),
      'a frame of a source is shorter than the delta says',
    ],
    ['frames of gigabytes', unpacking({ plainBytes: 2 ** 28 + 1 }), 'the size of an unpacked frame is no'],
    ['an unknown way', stepped({ ...repack, repacking: 2 }), 'a step compresses in no known way'],
    [
      'a block that is too large',
      stepped({ ...repack, lengthBytes: 2 ** 20 + 1 }),
      'what is compressed at a time is larger than 1048576',
    ],
    ['nothing to compress', stepped({ ...repack, lengthBytes: 0 }), 'a step compresses nothing'],
    ['more than announced', stepped(repack, copy, copy), 'more is compressed than a step has announced'],
    ['less than announced', stepped(repack), 'less is compressed than a step has announced'],
    ['one within the other', stepped(repack, repack), 'less is compressed than a step has announced'],
    [
      'a tree within',
      stepped(...steps.slice(0, 5), repack, { kind: 'tree', tree: 0 }),
      'less is compressed than a step has announced',
    ],
    [
      'a stream that is left open',
      stepped({ ...repack, repacking: 1 }, { ...copy, lengthBytes: 50 }),
      'less is compressed than a step has announced',
    ],
    ['no steps', stepped(), 'it ends before the bundle does'],
    ['a step too many', stepped(...steps, copy), 'what it makes is longer than the plain bundle'],
    [
      'a shorter bundle',
      headed({ result: { ...header.result, sizeBytes: 5000 } }),
      'what it makes is longer than the bundle',
    ],
    [
      'another hash',
      headed({ result: { ...header.result, sha256: 'ab'.repeat(32) } }),
      'what it makes is not the bundle',
    ],
    ['no end', delta.bytes.subarray(0, -1), 'it ends too early'],
  ])('%s', async (_, bytes, reason) => {
    const { problem } = await rebuilt(bytes, delta.sources)
    expect(problem).toBeInstanceOf(DeltaError)
    expect(problem!.message).toContain(reason)
  })
})

test('a patch that claims a window of gigabytes takes no such memory', async () => {
  // RFC 8878, 3.1.1.1: no single segment, a window of 2 GiB, one empty last block.
  const data = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0x01, 0x00, 0x00])
  const step = { kind: 'patch', lengthBytes: 5, ranges: [], data } as const
  const { problem } = await rebuilt(render(delta.header, delta.frames, [step]), delta.sources)
  expect(problem).toEqual(new DeltaError('a patch is damaged'))
  expect((problem!.cause as { code?: string }).code).toBe('ZSTD_error_frameParameter_windowTooLarge')
})

test('a hash tree does not depend on the pieces in which its data comes', () => {
  const data = Buffer.alloc(40 * 4096, 'some data ')
  const salt = Buffer.alloc(32, 7)
  const trees = [data.byteLength, 4096, 5000, 1].map((pieceBytes) => {
    const tree = new HashTree(data.byteLength, salt)
    for (let at = 0; at < data.byteLength; at += pieceBytes) tree.update(data.subarray(at, at + pieceBytes))
    return tree.finish()
  })
  for (const tree of trees) expect(tree).toEqual(trees[0])
  expect(() => new HashTree(4096, salt)).toThrow(RangeError)
  const full = new HashTree(8192, salt)
  full.update(data.subarray(0, 8192))
  expect(() => full.update(data.subarray(0, 4096))).toThrow(RangeError)
  expect(() => new HashTree(8192, salt).finish()).toThrow(RangeError)
})

test('the pieces in which a stream is written do not change its bytes', async () => {
  const plain = Buffer.from(Array.from({ length: 70_000 }, (_, i) => `${i * 7919} `).join(''))
  const made = await Promise.all(
    [plain.byteLength, 100_000, 4097, 333].map(async (pieceBytes) => {
      const pieces: Buffer[] = []
      await using output = new RepackingOutput({
        write: async (bytes) => void pieces.push(Buffer.from(bytes)),
      })
      const how = { form: 'stream', level: 12, windowLog: 18, checksum: true } as const
      output.begin(how, plain.byteLength)
      for (let at = 0; at < plain.byteLength; at += pieceBytes)
        await output.write(plain.subarray(at, at + pieceBytes))
      output.requireIdle()
      return Buffer.concat(pieces)
    }),
  )
  for (const bytes of made) expect(bytes.equals(made[0]!)).toBe(true)
})

test('the limits hold a rebuild within 64 MiB besides the program and a compressor', () => {
  const { patchBytesMax, patchDataBytesMax, dictionaryBytesMax, windowLog, bytesMax, treesMax } = deltaLimits
  // The dictionary twice: zstd keeps a copy. Leaves of a tree: 32 bytes of 4096.
  const patching = patchBytesMax + patchDataBytesMax + 2 * dictionaryBytesMax + 2 ** windowLog
  expect(patching + (treesMax * bytesMax * 32) / 4096).toBeLessThan(64 << 20)
})
