import { mkdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openTestInputs, type TestInputs } from '../kernel/test-inputs.ts'
import type { Content } from '../tree/tree.ts'
import { type BootSlot, buildBootSlot, fileSystemBytes } from './boot-slot.ts'

const MiB = 1024 * 1024
const bytes = (body: Uint8Array): Content => ({ kind: 'bytes', bytes: body })
const files = new Map<string, Content>([
  ['initrd', bytes(new Uint8Array(3_000_001).fill(7))],
  ['Image', bytes(Buffer.from('kernel'))],
  ['dtbs/rk3328-rock64.dtb', bytes(Buffer.from('device tree'))],
  ['boot.scr', bytes(Buffer.from('script'))],
])
const sourceDateEpoch = 1_700_000_000

describe('fileSystemBytes', () => {
  test.each([
    [0, 128, 32],
    [16, 128, 32],
    [17, 128, 36],
    [48, 128, 64],
    [110, 128, 128],
    [127, 128, 128],
  ])('%i MiB of files in a partition of %i MiB: %i MiB', (content, partition, expected) => {
    expect(fileSystemBytes(content * MiB, partition * MiB)).toBe(expected * MiB)
  })
})

describe('buildBootSlot', () => {
  let given: TestInputs
  let slot: BootSlot
  beforeAll(async () => {
    given = await openTestInputs()
    slot = await buildBootSlot({ files, sourceDateEpoch }, given)
  })
  afterAll(() => given[Symbol.asyncDispose]())

  const run = (argv: readonly [string, ...string[]]) =>
    given.tools.run({
      argv,
      purpose: 'the test',
      mounts: [
        { hostPath: join(slot.path, '..'), guestPath: '/slot', writable: false },
        { hostPath: join(given.dir, 'out'), guestPath: '/out', writable: true },
      ],
      env: { TZ: 'UTC' },
      timeoutMs: 30_000,
    })

  test('is as small as FAT16 allows for little files, and takes no more space on the builder than these', async () => {
    const { size, blocks } = await stat(slot.path)
    expect(size).toBe(32 * MiB)
    expect(blocks * 512).toBeLessThan(5_000_000)
  })

  test('every file reads back with mtools', async () => {
    await mkdir(join(given.dir, 'out'), { recursive: true })
    await run(['/usr/bin/mcopy', '-s', '-i', '/slot/boot.vfat', '::', '/out'])
    for (const [path, content] of files) {
      const expected = content.kind === 'bytes' ? content.bytes : Buffer.alloc(0)
      expect(Buffer.compare(await readFile(join(given.dir, 'out', path)), expected), path).toBe(0)
    }
  })

  test('is a clean FAT16 file system for fsck', async () => {
    await mkdir(join(given.dir, 'out'), { recursive: true })
    const { stdout } = await run(['/usr/sbin/fsck.vfat', '-n', '-v', '/slot/boot.vfat'])
    expect(stdout).toContain('16 bit entries')
    expect(stdout).toContain('6 files')
  })

  test('all times are the time of the build', async () => {
    // Two images made within two seconds would agree on the current time as well.
    const image = await readFile(slot.path)
    // After the reserved sectors and the allocation tables, by the fields of the boot sector.
    const [sectorBytes, reserved, tables, tableSectors] = [
      image.readUInt16LE(11),
      image.readUInt16LE(14),
      image.readUInt8(16),
      image.readUInt16LE(22),
    ]
    const rootAt = (reserved + tables * tableSectors) * sectorBytes
    const rootDirectory = image.subarray(rootAt, rootAt + 6 * 32)
    const dates = []
    for (let at = 0; at < rootDirectory.length && rootDirectory[at] !== 0; at += 32) {
      // A long name has no times of its own.
      if (rootDirectory[at + 11] !== 0x0f) dates.push(rootDirectory.readUInt16LE(at + 24))
    }
    // FAT counts years from 1980: 14 November 2023.
    const built = ((2023 - 1980) << 9) | (11 << 5) | 14
    expect(dates.length).toBeGreaterThan(3)
    expect(new Set(dates)).toEqual(new Set([built]))
  })

  test('same files, same bytes; other files, another volume id', async () => {
    await using again = await openTestInputs()
    const same = await buildBootSlot({ files: new Map([...files].reverse()), sourceDateEpoch }, again)
    expect(Buffer.compare(await readFile(same.path), await readFile(slot.path))).toBe(0)
    const changed = new Map([...files, ['Image', bytes(Buffer.from('Kernel'))] as const])
    const other = await buildBootSlot({ files: changed, sourceDateEpoch }, again)
    const volumeId = async ({ path }: BootSlot) => (await readFile(path)).readUInt32LE(39)
    expect(await volumeId(other)).not.toBe(await volumeId(slot))
  })

  test('more than fits is refused with the sizes', async () => {
    const tooMuch = new Map([
      [
        'Image',
        {
          ...bytes(new Uint8Array(0)),
          kind: 'range',
          path: '/x',
          offsetBytes: 0,
          sizeBytes: 2e8,
          sha256: '0',
        } as Content,
      ],
    ])
    await expect(buildBootSlot({ files: tooMuch, sourceDateEpoch }, given)).rejects.toThrow(
      'Image: 200000000 bytes',
    )
  })
})
