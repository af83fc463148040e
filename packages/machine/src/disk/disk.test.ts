import { mkdtemp, open, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { missing, testPrograms } from '../fixtures/programs.ts'
import { createDisk, createOverlay } from './disk.ts'

const MiB = 1024 * 1024
const absent = missing('cp', 'qemu-img')

describe.skipIf(absent)(`disks${absent ? ` (skipped: ${absent})` : ''}`, () => {
  let dir: string
  let running: string | undefined
  const off = () => running

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'disk-'))
    running = undefined
  })
  afterEach(() => rm(dir, { recursive: true }))

  test('a copy costs what is in the image, not what it measures, and the image stays as it was', async () => {
    const image = join(dir, 'image')
    // Zeros that are really there, as in an image that was packed and unpacked.
    await writeFile(image, Buffer.concat([Buffer.alloc(MiB, 1), Buffer.alloc(63 * MiB)]))
    const disk = await createDisk(testPrograms(), { image, sizeBytes: 16e9 }, join(dir, 'disk'), off)
    const { size, blocks } = await stat(disk.path)
    expect(size).toBe(16e9)
    expect(blocks * 512).toBeLessThan(2 * MiB)
    await disk.write(0, Buffer.from('changed'))
    expect(String(await disk.read(15_999_999_488, 512))).toBe('\0'.repeat(512))
    expect((await readFile(image))[0]).toBe(1)
  })

  test('a write-protected image makes a disk that can be written, and a disk an image for others', async () => {
    const image = join(dir, 'image')
    await writeFile(image, Buffer.alloc(MiB, 1), { mode: 0o444 })
    const disk = await createDisk(testPrograms(), { image }, join(dir, 'disk'), off)
    expect((await stat(disk.path)).mode & 0o777).toBe(0o644)
    await disk.write(0, Buffer.from([2]))
    await disk.copyTo(join(dir, 'copy'))
    expect([...(await readFile(join(dir, 'copy')))].slice(0, 2)).toEqual([2, 1])
  })

  test('a disk smaller than its image is an error that leaves nothing behind', async () => {
    const image = join(dir, 'image')
    await writeFile(image, Buffer.alloc(MiB))
    const made = createDisk(testPrograms(), { image, sizeBytes: 4096 }, join(dir, 'disk'), off)
    await expect(made).rejects.toThrow('a disk of 4096 bytes cannot hold')
    await expect(stat(join(dir, 'disk'))).rejects.toThrow('ENOENT')
    await expect(stat(join(dir, 'disk.part'))).rejects.toThrow('ENOENT')
  })

  test('damage flips every bit of its range and no other', async () => {
    const disk = await createDisk(testPrograms(), { sizeBytes: MiB }, join(dir, 'disk'), off)
    await disk.write(100, Buffer.from([0x0f, 0xf0]))
    await disk.damage(101, 2)
    expect([...(await disk.read(99, 5))]).toEqual([0, 0x0f, 0x0f, 0xff, 0])
    await disk.zero(0, MiB)
    expect((await disk.read(0, MiB)).every((byte) => byte === 0)).toBe(true)
  })

  test('a running machine and the end of the disk are respected', async () => {
    const disk = await createDisk(testPrograms(), { sizeBytes: MiB }, join(dir, 'disk'), off)
    await expect(disk.read(MiB - 1, 2)).rejects.toThrow('2 bytes at 1048575 are not on')
    running = 'gateway is running; stop or crash it first'
    await expect(disk.write(0, Buffer.alloc(1))).rejects.toThrow('gateway is running; stop or crash it first')
  })

  test('an overlay reads what is below it, keeps its own writes, and leaves the rest alone', async () => {
    const base = join(dir, 'base')
    await writeFile(base, Buffer.alloc(MiB, 7))
    await truncate(base, 64 * MiB)
    const overlay = await createOverlay(testPrograms(), base, join(dir, 'over.qcow2'), off)
    expect([overlay.format, overlay.sizeBytes]).toEqual(['qcow2', 64 * MiB])
    await overlay.write(0, Buffer.from([9]))
    expect([...(await overlay.read(0, 2))]).toEqual([9, 7])
    expect((await readFile(base))[0]).toBe(7)
    expect(overlay.format).toBe('raw')
  })

  describe('GPT', () => {
    const sizeBytes = 8 * MiB
    const label = (name: string) => Buffer.from(name.padEnd(36, '\0'), 'utf16le')

    /** One table copy: header at `lba`, entries at `entriesLba`. */
    async function writeTable(path: string, lba: number, entriesLba: number): Promise<void> {
      const entries = Buffer.alloc(128 * 128)
      for (const [index, name, first, last] of [
        [0, 'boot-a', 2048, 4095],
        [2, 'data', 8192, 8192],
      ] as const) {
        const entry = entries.subarray(index * 128)
        Buffer.from('ffc213bce6596242a352b275fd6f7172', 'hex').copy(entry, 0)
        Buffer.from('0102030405060708090a0b0c0d0e0f10', 'hex').copy(entry, 16)
        entry.writeBigUInt64LE(BigInt(first), 32)
        entry.writeBigUInt64LE(BigInt(last), 40)
        label(name).copy(entry, 56)
      }
      const header = Buffer.alloc(512)
      header.write('EFI PART', 'latin1')
      header.writeUInt32LE(0x10000, 8)
      header.writeUInt32LE(92, 12)
      header.writeBigUInt64LE(BigInt(lba), 24)
      header.writeBigUInt64LE(BigInt(entriesLba), 72)
      header.writeUInt32LE(128, 80)
      header.writeUInt32LE(128, 84)
      header.writeUInt32LE(crc32(entries), 88)
      header.writeUInt32LE(crc32(header.subarray(0, 92)), 16)
      const file = await open(path, 'r+')
      await file.write(header, 0, 512, lba * 512)
      await file.write(entries, 0, entries.length, entriesLba * 512)
      await file.close()
    }

    async function diskWithTables() {
      const disk = await createDisk(testPrograms(), { sizeBytes }, join(dir, 'disk'), off)
      const lastLba = sizeBytes / 512 - 1
      await writeTable(disk.path, 1, 2)
      await writeTable(disk.path, lastLba, lastLba - 32)
      return disk
    }

    test('partitions with number, label, ids, offset and size', async () => {
      const disk = await diskWithTables()
      expect(await disk.partitions()).toEqual([
        {
          number: 1,
          label: 'boot-a',
          typeId: 'bc13c2ff-59e6-4262-a352-b275fd6f7172',
          id: '04030201-0605-0807-090a-0b0c0d0e0f10',
          offsetBytes: MiB,
          sizeBytes: MiB,
        },
        expect.objectContaining({ number: 3, label: 'data', offsetBytes: 4 * MiB, sizeBytes: 512 }),
      ])
      await expect(disk.partition('boot-c')).rejects.toThrow('no partition boot-c; there are boot-a, data')
    })

    test.each([
      ['header', 512 + 20],
      ['entries', 1024 + 60],
    ])('a primary table with a damaged %s is not believed: the backup is', async (_part, offset) => {
      const disk = await diskWithTables()
      await disk.damage(offset, 1)
      expect((await disk.partitions()).map((partition) => partition.label)).toEqual(['boot-a', 'data'])
    })

    test('with both copies bad it says what is wrong with each', async () => {
      const disk = await diskWithTables()
      await disk.damage(512 + 20, 1)
      await disk.zero(sizeBytes - 512, 512)
      await expect(disk.partitions()).rejects.toThrow(
        'no valid GPT: primary table: wrong header checksum; backup table: no signature',
      )
    })
  })
})
