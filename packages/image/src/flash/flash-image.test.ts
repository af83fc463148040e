import { createHash } from 'node:crypto'
import { appendFile, mkdir, open, readFile, truncate, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { MiB } from '@atomixos/config'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { encodeGpt, type Gpt } from '../disk/gpt.ts'
import { imageGpt } from '../disk/write-disk.ts'
import { scratchDir } from '../tools/test-inputs.ts'
import { newestImage, parseChecksums, readFlashImage } from './flash-image.ts'

const { signal } = new AbortController()
/** The partition table of the product, on a disk that is quickly hashed. */
const gpt: Gpt = {
  ...imageGpt('rock64'),
  diskBytes: 4 * MiB,
  firstUsableBytes: MiB,
  partitions: imageGpt('rock64').partitions.map((partition, n) => ({
    ...partition,
    offsetBytes: (n + 1) * MiB,
    sizeBytes: MiB,
  })),
}

let dir: Awaited<ReturnType<typeof scratchDir>>
let path: string
beforeEach(async () => {
  dir = await scratchDir()
  path = join(dir.path, 'atomixos-trixie-rock64.img')
  await writeImageFile(path)
})
afterEach(() => dir[Symbol.asyncDispose]())

async function writeImageFile(to: string, table = gpt): Promise<void> {
  const { primary, backup } = encodeGpt(table)
  await using file = await open(to, 'w')
  await file.truncate(table.diskBytes)
  await file.write(primary, 0, primary.byteLength, 0)
  await file.write(backup, 0, backup.byteLength, table.diskBytes - backup.byteLength)
}

const sha256 = async () =>
  createHash('sha256')
    .update(await readFile(path))
    .digest('hex')
const refusal = async () => {
  const error = await readFlashImage(path, signal).catch((caught: Error) => caught)
  return error instanceof Error ? error.message : 'taken'
}

describe('an image', () => {
  test('alone is judged by its partition table', async () => {
    expect(await readFlashImage(path, signal)).toMatchObject({
      sizeBytes: 4 * MiB,
      sha256: await sha256(),
      checkedBy: undefined,
      build: undefined,
      bootPartition: { offsetBytes: MiB, sizeBytes: MiB },
    })
  })

  test('is compared with the checksums and described by the manifest beside it', async () => {
    await writeFile(join(dir.path, 'SHA256SUMS'), `${await sha256()}  atomixos-trixie-rock64.img\n`)
    const build = { board: 'rock64', version: '1.4.0', variant: 'release' }
    const artifacts = [{ name: 'atomixos-trixie-rock64.img', sha256: await sha256() }]
    await writeFile(
      join(dir.path, 'manifest.json'),
      JSON.stringify({ product: 'atomixos', ...build, artifacts }),
    )
    expect(await readFlashImage(path, signal)).toMatchObject({ checkedBy: 'SHA256SUMS', build })
  })

  test('with one wrong bit is refused, with both hashes', async () => {
    const before = await sha256()
    await writeFile(
      join(dir.path, 'SHA256SUMS'),
      `${'0'.repeat(64)}  other\n${before}  atomixos-trixie-rock64.img\n`,
    )
    await using file = await open(path, 'r+')
    await file.write(Buffer.from([1]), 0, 1, 2 * MiB)
    expect(await refusal()).toBe(
      `${path} is damaged: its SHA-256 is\n  ${await sha256()}, and SHA256SUMS says\n  ${before}`,
    )
  })

  test('that was cut short, or has more behind it, is refused', async () => {
    const message = `${path} is not whole: its partition table does not end where the file ends`
    await appendFile(path, Buffer.alloc(MiB))
    expect(await refusal()).toBe(message)
    await truncate(path, 3 * MiB)
    expect(await refusal()).toBe(message)
  })

  test('of something else is refused with what it has', async () => {
    const partitions = gpt.partitions.map((partition, n) => ({
      ...partition,
      label: n === 0 ? 'bootfs' : '',
    }))
    await writeImageFile(path, { ...gpt, partitions })
    expect(await refusal()).toBe(`${path} is no image of AtomixOS: its partitions are bootfs, (no name)`)
    await writeFile(path, Buffer.alloc(MiB))
    expect(await refusal()).toBe(`${path} has no GUID partition table`)
  })

  test.each([
    ['zstd', zstdCompressSync, 'zstd -d'],
    ['gzip', gzipSync, 'gunzip -k'],
  ])('compressed with %s is refused with the command that unpacks it', async (name, compress, command) => {
    await writeFile(path, compress(Buffer.alloc(MiB)))
    const error = await readFlashImage(path, signal).catch((caught: unknown) => caught)
    expect(error).toMatchObject({
      message: `${path} is compressed with ${name}`,
      hint: `unpack it first: \`${command} ${path}\``,
    })
  })

  test('that is not there, a folder or empty is refused', async () => {
    await truncate(path, 0)
    expect(await refusal()).toBe(`${path} is empty, so it is no image`)
    path = dir.path
    expect(await refusal()).toBe(`${path} is not a file, so it is no image`)
    path = join(dir.path, 'none')
    expect(await refusal()).toContain(`the image ${path} cannot be read: ENOENT`)
  })
})

test('the newest image of all boards is taken', async () => {
  const distDir = join(dir.path, 'dist')
  await expect(newestImage(distDir)).rejects.toMatchObject({ message: `there is no image in ${distDir}` })
  for (const [n, board] of ['one', 'two', 'three'].entries()) {
    await mkdir(join(distDir, board), { recursive: true })
    const image = join(distDir, board, `atomixos-trixie-${board}.img`)
    await writeFile(image, '')
    const seconds = board === 'two' ? 2_000_000_000 : 1_000_000_000 + n
    await utimes(image, seconds, seconds)
    await writeFile(join(distDir, board, 'other.img'), '')
  }
  expect(await newestImage(distDir)).toBe(join(distDir, 'two', 'atomixos-trixie-two.img'))
})

test('checksums as sha256sum writes them, for text and for binary', () => {
  const [a, b] = ['a'.repeat(64), 'B'.repeat(64)]
  expect(parseChecksums(`${a}  one.img\n${b} *two three.img\r\nnonsense\n`)).toEqual(
    new Map([
      ['one.img', a],
      ['two three.img', b.toLowerCase()],
    ]),
  )
})
