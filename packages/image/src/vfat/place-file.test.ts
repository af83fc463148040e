import { copyFile, mkdir, open, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openTestInputs, type TestInputs } from '../kernel/test-inputs.ts'
import type { Content } from '../tree/tree.ts'
import { type BootSlot, buildBootSlot } from './boot-slot.ts'
import { parseFat16 } from './fat16.ts'
import { type Fat16Parts, placeFile } from './place-file.ts'

const bytes = (body: Uint8Array): Content => ({ kind: 'bytes', bytes: body })
const files = new Map<string, Content>([
  ['Image', bytes(new Uint8Array(3_000_001).fill(7))],
  ['initrd', bytes(Buffer.from('initrd'))],
  ['dtbs/rk3328-rock64.dtb', bytes(Buffer.from('device tree'))],
  ['boot.scr', bytes(Buffer.from('script'))],
])

let given: TestInputs
let slot: BootSlot
beforeAll(async () => {
  given = await openTestInputs()
  slot = await buildBootSlot({ files, sourceDateEpoch: 1_700_000_000 }, given)
})
afterAll(() => given[Symbol.asyncDispose]())

function partsOf(image: Buffer): { fat: ReturnType<typeof parseFat16>; parts: Fat16Parts } {
  const fat = parseFat16(image.subarray(0, 512), 'the test')
  const at = fat.tableOffsets[0]!
  return {
    fat,
    parts: {
      table: image.subarray(at, at + fat.tableBytes),
      root: image.subarray(fat.rootOffset, fat.dataOffset),
    },
  }
}

/** The slot with one more file, in a folder of its own; mtools and fsck look at it there. */
async function withFile(name: string, body: Uint8Array): Promise<string> {
  const dir = join(given.dir, 'placed')
  await rm(dir, { recursive: true, force: true })
  await mkdir(join(dir, 'out'), { recursive: true })
  const path = join(dir, 'boot.vfat')
  await copyFile(slot.path, path)
  const { fat, parts } = partsOf(await readFile(path))
  await using file = await open(path, 'r+')
  for (const patch of placeFile(fat, parts, { name, bytes: body })) {
    await file.write(patch.bytes, 0, patch.bytes.byteLength, patch.offsetBytes)
  }
  return dir
}

const run = (dir: string, ...argv: [string, ...string[]]) =>
  given.tools.run({
    argv,
    purpose: 'the test',
    mounts: [{ hostPath: dir, guestPath: '/slot', writable: true }],
    env: { TZ: 'UTC' },
    timeoutMs: 30_000,
  })

describe('a file placed into a real boot slot', () => {
  test.each([0, 1, 4095, 4096, 4097, 1_000_000])(
    'of %i bytes is read back by mtools, and fsck is content',
    async (size) => {
      const body = Buffer.alloc(size, 'config ')
      const dir = await withFile('config.toml', body)
      expect((await run(dir, '/usr/sbin/fsck.vfat', '-n', '-v', '/slot/boot.vfat')).stdout).toContain(
        '7 files',
      )
      await run(dir, '/usr/bin/mcopy', '-s', '-i', '/slot/boot.vfat', '::', '/slot/out')
      expect(Buffer.compare(await readFile(join(dir, 'out/config.toml')), body)).toBe(0)
      for (const [path, content] of files) {
        const expected = content.kind === 'bytes' ? content.bytes : Buffer.alloc(0)
        expect(Buffer.compare(await readFile(join(dir, 'out', path)), expected), path).toBe(0)
      }
    },
  )

  test('has its long name, a short one, and the time of the build', async () => {
    const dir = await withFile('config.toml', Buffer.from('x'))
    const { stdout } = await run(dir, '/usr/bin/mdir', '-i', '/slot/boot.vfat', '::')
    expect(stdout).toMatch(/^CONFIG~1 TOM\s+1 2023-11-14\s+22:13\s+config\.toml/m)
  })

  test('same slot and file, same patches', async () => {
    const { fat, parts } = partsOf(await readFile(slot.path))
    const file = { name: 'config.toml', bytes: Buffer.from('x') }
    expect(placeFile(fat, parts, file)).toEqual(placeFile(fat, parts, file))
  })

  test('a file of that name is never replaced, in whatever case', async () => {
    const dir = await withFile('config.toml', Buffer.from('x'))
    const { fat, parts } = partsOf(await readFile(join(dir, 'boot.vfat')))
    for (const name of ['config.toml', 'CONFIG.TOML', 'boot.scr']) {
      expect(() => placeFile(fat, parts, { name, bytes: Buffer.from('y') }), name).toThrow(
        `the boot partition has a file ${name} already`,
      )
    }
    // Another long name takes another short one.
    const [, , root] = placeFile(fat, parts, { name: 'config.tomb', bytes: Buffer.alloc(0) })
    expect(root!.bytes.toString('latin1')).toContain('CONFIG~2TOM')
  })

  test('more than there is room for is refused with both sizes', async () => {
    const { fat, parts } = partsOf(await readFile(slot.path))
    expect(() => placeFile(fat, parts, { name: 'config.toml', bytes: Buffer.alloc(40_000_000) })).toThrow(
      /^config\.toml has 40000000 bytes, the boot partition room for \d{8}$/,
    )
  })
})

test('anything but FAT16 is refused with the reason', async () => {
  const sector = (await readFile(slot.path)).subarray(0, 512)
  const changed = (change: (copy: Buffer) => void) => {
    const copy = Buffer.from(sector)
    change(copy)
    return () => parseFat16(copy, 'x.img')
  }
  const refusal = 'x.img has no FAT16 file system: '
  expect(changed((copy) => copy.fill(0))).toThrow(`${refusal}no boot sector`)
  expect(changed((copy) => copy.writeUInt16LE(4096, 11))).toThrow(`${refusal}sectors of 4096 bytes`)
  expect(changed((copy) => copy.writeUInt16LE(0, 22))).toThrow(`${refusal}no tables`)
  expect(changed((copy) => copy.writeUInt16LE(8000, 19))).toThrow(/clusters$/)
  expect(changed((copy) => copy.writeUInt16LE(1, 22))).toThrow(`${refusal}its table is too short`)
})
