import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { recorderNodes } from '../arguments.ts'
import { missing, testPrograms } from '../fixtures/programs.ts'
import { environmentOf, runChecked } from '../run.ts'
import { type CutKind, cutKinds, planCut } from './cut.ts'
import { type LogEntry, parseWriteLog, WriteLog } from './write-log.ts'

let dir: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'recording-'))
})
afterAll(() => rm(dir, { recursive: true, force: true }))

/** Numbers from 0 to 1, the same for the same seed. */
function numbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

interface Words {
  readonly sector: number
  readonly data?: Buffer
  readonly sectors?: number
  readonly flags: number
}

function logOf(words: readonly Words[], count = words.length): Buffer {
  const head = Buffer.alloc(512)
  head.writeBigUInt64LE(0x6a736677736872n, 0)
  head.writeBigUInt64LE(1n, 8)
  head.writeBigUInt64LE(BigInt(count), 16)
  head.writeUInt32LE(512, 24)
  return Buffer.concat([
    head,
    ...words.flatMap(({ sector, data = Buffer.alloc(0), sectors = data.length / 512, flags }) => {
      const entry = Buffer.alloc(512)
      entry.writeBigUInt64LE(BigInt(sector), 0)
      entry.writeBigUInt64LE(BigInt(sectors), 8)
      entry.writeBigUInt64LE(BigInt(flags), 16)
      return [entry, data]
    }),
  ])
}

const parse = (bytes: Buffer) => parseWriteLog(async (at, size) => bytes.subarray(at, at + size))

describe('the log', () => {
  const words: Words[] = [
    { sector: 8, data: Buffer.alloc(1024, 1), flags: 0 },
    { sector: 0, flags: 1 },
    { sector: 100, sectors: 64, flags: 4 },
    { sector: 2, data: Buffer.alloc(512, 2), flags: 2 },
  ]

  test('entries are found behind the bytes of the writes before them', async () => {
    expect(await parse(logOf(words))).toEqual([
      { index: 0, kind: 'write', offsetBytes: 4096, sizeBytes: 1024, fua: false, dataOffset: 1024 },
      { index: 1, kind: 'flush', offsetBytes: 0, sizeBytes: 0, fua: false, dataOffset: 2560 },
      { index: 2, kind: 'discard', offsetBytes: 51200, sizeBytes: 32768, fua: false, dataOffset: 3072 },
      { index: 3, kind: 'write', offsetBytes: 1024, sizeBytes: 512, fua: true, dataOffset: 3584 },
    ])
  })
  test('what the superblock does not count is not read', async () => {
    expect(await parse(logOf(words, 2))).toHaveLength(2)
  })
  test.each([
    ['nothing', Buffer.alloc(0), 'this is no log of writes: it does not begin with the magic number'],
    [
      'a cut log',
      logOf(words).subarray(0, 2570),
      'entry 2 of the log of writes, at byte 2560: the log ends here',
    ],
    [
      'unknown flags',
      logOf([{ sector: 0, flags: 16 }]),
      'entry 0 of the log of writes, at byte 512: unknown flags 0x10',
    ],
    [
      'a write of nothing',
      logOf([{ sector: 0, flags: 0 }]),
      'entry 0 of the log of writes, at byte 512: a write of nothing',
    ],
  ])('%s is refused with the place', async (_, bytes, message) => {
    await expect(parse(bytes)).rejects.toThrow(message)
  })
  test('the bytes of a write, of a part of it, and the zeros of a discard', async () => {
    const path = join(dir, 'log')
    await writeFile(path, logOf([{ sector: 0, data: Buffer.from('ab'.repeat(256)), flags: 0 }, ...words]))
    await using log = await WriteLog.open(path)
    expect(String(await log.bytes(log.entries[0]!, 510))).toBe('ab')
    expect(await log.bytes(log.entries[3]!, 0, 4)).toEqual(Buffer.alloc(4))
  })
})

describe('a cut', () => {
  const cardFrom = 1_000_000
  /** `d`: a write of four sectors to the disk, `c`: one of a sector to the card, `u`: one to the disk with FUA, `|`: a flush. */
  const entriesOf = (text: string): LogEntry[] =>
    [...text].map((letter, index) => ({
      index,
      kind: letter === '|' ? 'flush' : 'write',
      offsetBytes: letter === 'c' ? cardFrom + index * 512 : index * 4096,
      sizeBytes: letter === '|' ? 0 : letter === 'c' ? 512 : 2048,
      fua: letter === 'u',
      dataOffset: 0,
    }))
  const uncached = (entry: LogEntry) => entry.offsetBytes >= cardFrom
  /** `0` nothing, `1` all, `%` a part, in order from the flush on. */
  const plan = (text: string, victim: number, kind: CutKind, seed = 1) => {
    const cut = planCut(entriesOf(text), { victim, kind, uncached, random: numbers(seed) })
    const shares = cut.landed.map(({ entry, ranges }) => {
      const size = ranges.reduce((sum, range) => sum + range.sizeBytes, 0)
      return size === 0 ? '0' : size === entry.sizeBytes ? '1' : '%'
    })
    return { ...cut, shares: shares.join('') }
  }

  test.each([
    ['dd|ddd', 5, 'lost', '110'],
    ['dd|ddd', 4, 'lost', '10'],
    ['dd|ddd', 5, 'alone', '000'],
    ['dd|ddd', 5, 'torn', '11%'],
    ['dd|dud', 5, 'alone', '010'],
    ['dd|dcd', 5, 'alone', '010'],
    ['d|dcc', 4, 'torn', '11%'],
    ['d|dcc', 4, 'alone', '010'],
    ['ddd', 2, 'lost', '110'],
  ] as const)('in %s of write %d, %s: %s since the flush', (text, victim, kind, shares) => {
    expect(plan(text, victim, kind).shares).toBe(shares)
  })

  test('the victim never lands as a whole, nothing behind the next flush is there, and card and FUA writes are', () => {
    for (let seed = 1; seed <= 300; seed++) {
      const text = 'dd|ddcdudddcd|dd'
      const victim = [3, 4, 6, 8, 12][seed % 5]!
      if (text[victim] === '|') continue
      for (const kind of cutKinds) {
        const cut = plan(text, victim, kind, seed)
        expect(cut.durableBefore).toBe(3)
        expect(cut.at).toBeLessThan(13)
        for (const { entry, ranges } of cut.landed) {
          const size = ranges.reduce((sum, range) => sum + range.sizeBytes, 0)
          if (entry.index === victim) expect(size).toBeLessThan(entry.sizeBytes)
          else if (text[entry.index] !== 'd') expect(size).toBe(entry.sizeBytes)
          for (const range of ranges)
            expect(range.from + range.sizeBytes).toBeLessThanOrEqual(entry.sizeBytes)
        }
      }
    }
  })
  test('reordering has later writes land without the victim, and earlier ones be lost', () => {
    const seen = Array.from({ length: 50 }, (_, seed) => plan('d|dddddd|', 4, 'reordered', seed + 1).shares)
    expect(seen.some((shares) => shares.slice(3).includes('1'))).toBe(true)
    expect(seen.some((shares) => shares.slice(0, 2).includes('0'))).toBe(true)
  })
  test('a card is torn within a sector, a disk between sectors', () => {
    const card = plan('c', 0, 'torn').landed[0]!.ranges
    expect(card).toEqual([{ from: 0, sizeBytes: expect.toSatisfy((size: number) => size % 512 !== 0) }])
    for (let seed = 1; seed < 50; seed++) {
      for (const range of plan('d', 0, 'torn', seed).landed[0]!.ranges) {
        expect([range.from % 512, range.sizeBytes % 512]).toEqual([0, 0])
      }
    }
  })
  test('a flush cannot be cut', () => {
    expect(() => plan('d|d', 1, 'lost')).toThrow('entry 1 of the log is no write that could be cut')
  })
})

const unable = missing('qemu-storage-daemon', 'qemu-io')

test.skipIf(unable)(
  `QEMU keeps the writes of disk and card in one log, in one order${unable ? ` (skipped: ${unable})` : ''}`,
  async () => {
    const programs = testPrograms()
    const env = environmentOf(programs)
    const MiB = 1024 * 1024
    const recorder = {
      path: join(dir, 'both.raw'),
      logPath: join(dir, 'both.log'),
      systemBytes: 8 * MiB,
      cardBytes: MiB,
    }
    await writeFile(recorder.path, '')
    await truncate(recorder.path, 9 * MiB)
    await writeFile(recorder.logPath, '')
    const socket = join(dir, 'nbd')
    const [file, ...argv] = programs.argv('qemu-storage-daemon')
    const nodes = recorderNodes(recorder).flatMap((node) => ['--blockdev', JSON.stringify(node)])
    const daemon = spawn(
      file!,
      [
        ...argv,
        ...nodes,
        ...['--nbd-server', `addr.type=unix,addr.path=${socket}`],
        ...['system', 'sd'].flatMap((name) => ['--export', `nbd,id=${name},node-name=${name},writable=on`]),
      ],
      { env, stdio: 'inherit' },
    )
    const write = (name: string, ...commands: string[]) =>
      runChecked(
        [
          ...programs.argv('qemu-io'),
          ...['-f', 'raw', '-d', 'unmap', '-t', 'writeback'],
          ...commands.flatMap((command) => ['-c', command]),
          `nbd+unix:///${name}?socket=${socket}`,
        ],
        { purpose: 'write', env },
      )
    try {
      while (!(await stat(socket).catch(() => undefined))) await sleep(20)
      await write('system', 'write -P 1 4096 1024', 'discard 65536 65536')
      await write('sd', 'write -P 2 512 512')
      await write('system', 'write -z 8192 512')
    } finally {
      daemon.kill()
      await once(daemon, 'exit')
    }
    await using log = await WriteLog.open(recorder.logPath)
    expect(
      log.entries.map(({ kind, offsetBytes, sizeBytes }) => `${kind} ${offsetBytes} ${sizeBytes}`),
    ).toEqual([
      ...['write 4096 1024', 'discard 65536 65536', 'flush 0 0'],
      ...[`write ${8 * MiB + 512} 512`, 'flush 0 0'],
      ...['write 8192 512', 'flush 0 0'],
    ])
    expect(await log.bytes(log.entries[3]!)).toEqual(Buffer.alloc(512, 2))
    const { subarray } = await readFile(recorder.path).then((bytes) => ({
      subarray: bytes.subarray(8 * MiB + 512, 8 * MiB + 1024),
    }))
    expect(subarray).toEqual(Buffer.alloc(512, 2))
  },
)
