import { mkdir, open, readFile, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { MiB, partitions, partitionTypes } from '@atomixos/config'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openTestInputs, type TestInputs } from '../kernel/test-inputs.ts'
import { derivedGuid, encodeGpt, type Gpt } from './gpt.ts'
import { readGpt } from './read-gpt.ts'
import { type DiskContents, imageGpt, writeDisk } from './write-disk.ts'

let given: TestInputs
let dir: string
let contents: DiskContents
let image: string
beforeAll(async () => {
  given = await openTestInputs()
  dir = join(given.dir, 'disk')
  await mkdir(dir)
  const part = async (name: string, bytes: Uint8Array, sizeBytes = bytes.byteLength) => {
    await writeFile(join(dir, name), bytes)
    await truncate(join(dir, name), sizeBytes)
    return join(dir, name)
  }
  contents = {
    product: 'rock64',
    firmware: {
      idbloaderPath: await part('idbloader.img', Buffer.alloc(137_001, 'spl')),
      ubootItbPath: await part('u-boot.itb', Buffer.alloc(990_001, 'u-boot')),
    },
    bootSlotPath: await part('boot.vfat', Buffer.alloc(200_000, 'boot'), 128 * MiB),
    rootfsPath: await part(
      'rootfs.squashfs',
      Buffer.concat([Buffer.alloc(5 * MiB, 'root'), Buffer.alloc(3 * MiB), Buffer.from('end')]),
    ),
  }
  image = join(dir, 'disk.img')
  await writeDisk(contents, image)
})
afterAll(() => given[Symbol.asyncDispose]())

const sfdisk = (...options: string[]) =>
  given.tools.run({
    argv: ['/usr/sbin/sfdisk', ...options, '/disk/disk.img'],
    purpose: 'the test',
    mounts: [{ hostPath: dir, guestPath: '/disk', writable: false }],
    timeoutMs: 30_000,
  })

describe('the flashable image', () => {
  test('sfdisk finds nothing to complain about and slot A where it belongs', async () => {
    expect((await sfdisk('--verify')).stdout).toContain('No errors detected.')
    const { partitiontable } = JSON.parse((await sfdisk('--json')).stdout)
    expect(partitiontable.id.toLowerCase()).toBe(imageGpt('rock64').diskId)
    expect(partitiontable.firstlba).toBe(32768)
    expect(
      partitiontable.partitions.map(({ name, start, size, type }: Record<string, string | number>) => ({
        name,
        start,
        size,
        type: String(type).toLowerCase(),
      })),
    ).toEqual([
      { name: 'boot-a', start: 32768, size: 262144, type: partitionTypes.xbootldr },
      { name: 'rootfs-a', start: 294912, size: 2097152, type: partitionTypes.rootArm64 },
    ])
  })

  test('every part is at its place, byte for byte', async () => {
    await using file = await open(image, 'r')
    const at = async (offset: number, path: string) => {
      const expected = await readFile(path)
      const { buffer } = await file.read(Buffer.alloc(expected.byteLength), 0, expected.byteLength, offset)
      return buffer.equals(expected)
    }
    expect(await at(64 * 512, contents.firmware!.idbloaderPath)).toBe(true)
    expect(await at(16384 * 512, contents.firmware!.ubootItbPath)).toBe(true)
    expect(await at(16 * MiB, contents.bootSlotPath)).toBe(true)
    expect(await at(144 * MiB, contents.rootfsPath)).toBe(true)
  })

  test('takes no more space than its parts have data', async () => {
    const { size, blocks } = await stat(image)
    expect(size).toBe(1169 * MiB)
    expect(blocks * 512).toBeLessThan(8 * MiB)
  })

  test('is the same every time, and has other ids for another product', async () => {
    const again = join(dir, 'again.img')
    await writeDisk(contents, again)
    const table = await readGpt(image)
    expect({ ...(await readGpt(again)) }).toEqual(table)
    const other = imageGpt('another board')
    expect(other.diskId).not.toBe(table.diskId)
    expect(other.partitions[0]!.id).not.toBe(table.partitions[0]!.id)
  })

  test('a part that outgrew its place is refused with both sizes', async () => {
    const large = join(dir, 'large.itb')
    await writeFile(large, '')
    await truncate(large, 9 * MiB)
    const tooLarge = { ...contents, firmware: { ...contents.firmware!, ubootItbPath: large } }
    await expect(writeDisk(tooLarge, join(dir, 'never.img'))).rejects.toThrow(
      'u-boot.itb has 9437184 bytes, its place on the disk 8388608',
    )
  })
})

describe('readGpt', () => {
  test('finds what was written', async () => {
    const found = await readGpt(image)
    expect(found).toMatchObject(imageGpt('rock64'))
    expect(found.copies).toEqual({ primary: true, backup: true })
    expect(found.backupAtEnd).toBe(true)
  })

  const damaged = async (name: string, damage: (bytes: Buffer) => void) => {
    const small: Gpt = {
      diskId: derivedGuid('small'),
      diskBytes: 2 * MiB,
      firstUsableBytes: 34 * 512,
      partitions: [
        {
          number: 3,
          label: 'für später',
          typeId: partitionTypes.linuxGeneric,
          id: derivedGuid('part'),
          offsetBytes: MiB,
          sizeBytes: 4096,
          attributes: 4n,
        },
      ],
    }
    const { primary, backup } = encodeGpt(small)
    const bytes = Buffer.alloc(small.diskBytes)
    bytes.set(primary)
    bytes.set(backup, bytes.byteLength - backup.byteLength)
    damage(bytes)
    const path = join(dir, name)
    await writeFile(path, bytes)
    return { path, small }
  }

  test('reads either copy when the other is damaged', async () => {
    const first = await damaged('first', (bytes) => bytes.fill(0, 512, 1024))
    expect(await readGpt(first.path)).toMatchObject({
      ...first.small,
      copies: { primary: false, backup: true },
    })
    const entry = await damaged('entry', (bytes) => {
      bytes[1024 + 2 * 128 + 60]! ^= 1
    })
    expect((await readGpt(entry.path)).copies).toEqual({ primary: false, backup: true })
    const last = await damaged('last', (bytes) => bytes.fill(0, bytes.byteLength - 512))
    expect((await readGpt(last.path)).copies).toEqual({ primary: true, backup: false })
  })

  test('tells that an image was put on a larger disk', async () => {
    const { path } = await damaged('grown', () => {})
    await truncate(path, 3 * MiB)
    expect(await readGpt(path)).toMatchObject({ backupAtEnd: false, copies: { primary: true, backup: true } })
  })

  test('a disk without a table is refused', async () => {
    const { path } = await damaged('blank', (bytes) => bytes.fill(0))
    await expect(readGpt(path)).rejects.toThrow(`${path} has no GUID partition table`)
  })
})

describe('encodeGpt', () => {
  const gpt = imageGpt('test')
  const withPartition = (change: object): Gpt => ({
    ...gpt,
    partitions: [gpt.partitions[0]!, { ...gpt.partitions[1]!, ...change }],
  })
  test.each([
    ['overlapping partitions', withPartition({ offsetBytes: 100 * MiB })],
    ['one number twice', withPartition({ number: 1 })],
    ['half a sector', withPartition({ sizeBytes: 1000 })],
    ['more than the disk holds', withPartition({ sizeBytes: 2048 * MiB })],
    ['a label of 37 characters', withPartition({ label: 'x'.repeat(37) })],
  ])('%s cannot be', (_, impossible) => {
    expect(() => encodeGpt(impossible)).toThrow(RangeError)
  })

  test('the layout of the product leaves no gap and no overlap', () => {
    for (const [i, { offsetBytes, sizeBytes }] of partitions.entries()) {
      const next = partitions[i + 1]
      if (next !== undefined) expect(offsetBytes + sizeBytes!).toBe(next.offsetBytes)
    }
  })
})
