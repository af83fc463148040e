import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type DeltaHeader, type DeltaRepacking, readDeltaStart, repackWhole } from '@atomixos/config'
import { rebuilt } from '@atomixos/config/delta/test-deltas.ts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Payload, payloadImages, writePayload } from '../bundle/payload.ts'
import { PayloadLayoutError, readPayloadLayout } from '../bundle/payload-layout.ts'
import { writeBundle } from '../bundle/sign.ts'
import { writeSquashfs } from '../squashfs/write.ts'
import type { Tree, TreeNode } from '../tree/tree.ts'
import { appendVerity } from '../verity/verity.ts'
import { makeDelta, NoDelta, writeDelta } from './make-delta.ts'
import { asItIs, readPlainBundle } from './plain-bundle.ts'

interface TestBundle {
  readonly path: string
  readonly payload: Payload
  readonly images: readonly Buffer[]
}

let dir: string
let one: TestBundle
let two: TestBundle
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'atomixos-delta-'))
  one = await bundle('one', { kernel: text(1, 900_000), library: text(2, 400_000) })
  two = await bundle('two', {
    kernel: text(1, 900_000),
    library: `${text(2, 200_000)}changed${text(2, 400_000).slice(200_000)}`,
  })
})
afterAll(() => rm(dir, { recursive: true, force: true }))

/** Words that can be compressed, the same for the same seed. */
function text(seed: number, length: number): string {
  let all = ''
  for (let i = 0; all.length < length; i++) {
    all += createHash('sha256')
      .update(`${seed} ${i}`)
      .digest('hex')
      .slice(0, 20)
      .repeat(1 + (i % 3))
  }
  return all.slice(0, length)
}

const squashfsWay: DeltaRepacking = { form: 'block', level: 3, checksum: false }
const initrdWay: DeltaRepacking = { form: 'stream', level: 4, windowLog: 20, checksum: true }

/** As real ones are: a boot image with a hole and an initrd, and a squashfs with its verity tree behind it. */
async function bundle(name: string, parts: { kernel: string; library: string }): Promise<TestBundle> {
  const at = (file: string) => join(dir, name, file)
  await mkdir(at('blocks'), { recursive: true })
  const library = `${parts.library} in ${name}`
  await writeFile(
    at('boot.vfat'),
    Buffer.concat([
      Buffer.from(`boot of ${name}`.padEnd(5000)),
      Buffer.alloc(200_000),
      Buffer.from(parts.kernel),
      Buffer.alloc(300_000),
      await repackWhole(Buffer.from(`${library}${text(5, 1_500_000)}`), initrdWay),
    ]),
  )
  const owner = { uid: 0, gid: 0, origin: 'test' }
  const files = ['a', library, text(3, 2_500_000), text(4, 1_200_000)]
  const nodes = files.map((body, i): [string, TreeNode] => [
    `/${i}`,
    { type: 'file', mode: 0o644, ...owner, content: { kind: 'bytes', bytes: Buffer.from(body) } },
  ])
  const tree: Tree = new Map([['/', { type: 'directory', mode: 0o755, ...owner }], ...nodes])
  const options = { compression: { level: 3 }, sourceDateEpoch: 1_700_000_000, blockCacheDir: at('blocks') }
  await writeSquashfs(tree, at('rootfs.squashfs'), options)
  appendVerity(at('rootfs.squashfs'), 'rootfs')
  const images = await payloadImages([
    { slotClass: 'boot', filename: 'boot.vfat', path: at('boot.vfat') },
    { slotClass: 'rootfs', filename: 'rootfs.squashfs', path: at('rootfs.squashfs') },
  ])
  const payload = await writePayload(images, at('payload'), {
    sourceDateEpoch: 1_700_000_000,
    workDir: at('blocks'),
    release: { compatible: 'atomixos-rock64', version: `1.0.0-${name}` },
  })
  const signature = Buffer.from(`\x30 signed: ${name}`)
  await writeBundle({ payloadPath: payload.path, signature, outPath: at('bundle.raucb') })
  return {
    ...{ path: at('bundle.raucb'), payload },
    images: await Promise.all(['boot.vfat', 'rootfs.squashfs'].map((file) => readFile(at(file)))),
  }
}

test('the blocks of a payload are found where they are', async () => {
  const { files, blockBytes, level } = readPayloadLayout(one.path)
  expect({ blockBytes, level }).toEqual({ blockBytes: 65_536, level: 9 })
  expect(files.map(({ filename, sizeBytes }) => [filename, sizeBytes])).toEqual([
    ['boot.vfat', one.images[0]!.byteLength],
    ['rootfs.squashfs', one.images[1]!.byteLength],
  ])
  const kinds = new Set(files.flatMap(({ blocks }) => blocks.map(({ kind }) => kind)))
  expect(kinds).toEqual(new Set(['hole', 'packed', 'stored']))
})

test('a plain bundle holds the images as a device has them, and is packed to the same bytes', async () => {
  const plain = await readPlainBundle(one.path)
  expect(plain.packsAgain).toBe(true)
  for (const [i, { offsetBytes, sizeBytes }] of plain.images.entries()) {
    expect(plain.bytes.subarray(offsetBytes, offsetBytes + sizeBytes).equals(one.images[i]!)).toBe(true)
  }
})

test('a delta makes one bundle out of the images of the other, and is small', async () => {
  const repackings = [squashfsWay, initrdWay]
  const [from, to] = [await readPlainBundle(one.path), await readPlainBundle(two.path)]
  const delta = await makeDelta({ from, to, verity: two.payload.verity, repackings })
  const { bundle: made, problem } = await rebuilt(delta, one.images)
  expect(problem).toBeUndefined()
  expect(made.equals(await readFile(two.path))).toBe(true)
  // Neither the blocks with the changed library are in the delta nor hash trees.
  expect(delta.byteLength).toBeLessThan(to.sizeBytes / 50)
  expect(await treesOf(delta)).toEqual(['plain', 'packed'])
  expect((await makeDelta({ from, to, verity: two.payload.verity, repackings })).equals(delta)).toBe(true)
})

test('what images hold compressed is patched as it was before, where it can be made again', async () => {
  const [from, to] = [await readPlainBundle(one.path), await readPlainBundle(two.path)]
  const verity = two.payload.verity
  const bytesOf = async (repackings: readonly DeltaRepacking[]) => {
    const delta = await makeDelta({ from, to, verity, repackings })
    const { bundle: made, problem } = await rebuilt(delta, one.images)
    expect(problem).toBeUndefined()
    expect(made.equals(await readFile(two.path))).toBe(true)
    return { bytes: delta.byteLength, header: await headerOf(delta) }
  }
  const none = await bytesOf([])
  const other = await bytesOf([{ ...squashfsWay, level: 4 }])
  const own = await bytesOf([squashfsWay, initrdWay])
  expect(none.header).toMatchObject({ repackings: [], unpacked: [] })
  // Another level makes other bytes, and is not used.
  expect(other).toMatchObject({ bytes: none.bytes, header: { repackings: [], unpacked: [] } })
  expect(own.header.unpacked.map(({ source }) => source)).toEqual([0, 1])
  expect(own.bytes).toBeLessThan(none.bytes / 10)
})

test('the same images in another bundle are almost nothing', async () => {
  const again = join(dir, 'again.raucb')
  await writeBundle({ payloadPath: one.payload.path, signature: Buffer.from('\x30 another'), outPath: again })
  const [from, to] = [await readPlainBundle(one.path), await readPlainBundle(again)]
  expect((await makeDelta({ from, to, verity: one.payload.verity })).byteLength).toBeLessThan(2500)
})

test('where blocks can not be packed again they are carried as they are', async () => {
  const [from, to] = [await readPlainBundle(one.path), await readPlainBundle(two.path)]
  const changed = { ...from, packsAgain: false }
  const delta = await makeDelta({ from: changed, to, verity: two.payload.verity })
  const { bundle: made, problem } = await rebuilt(delta, one.images)
  expect(problem).toBeUndefined()
  expect(made.equals(await readFile(two.path))).toBe(true)
  expect((await asItIs(to)).frames).toHaveLength(1)
})

test('what is not worth it, or leads nowhere, is not written', async () => {
  const [from, to] = [await readPlainBundle(one.path), await readPlainBundle(two.path)]
  const outPath = join(dir, 'delta')
  const verity = two.payload.verity
  await expect(writeDelta({ from, to, verity, sizeBytesMax: 1000 }, outPath)).rejects.toThrow(NoDelta)
  const wrong = { ...verity, salt: 'ab'.repeat(32) }
  await expect(writeDelta({ from, to, verity: wrong }, outPath)).rejects.toThrow(
    'what it makes is not the bundle',
  )
  await expect(readFile(outPath)).rejects.toThrow('ENOENT')
})

test('what is no payload of ours is named as such', async () => {
  const random = join(dir, 'random')
  for (const bytes of [Buffer.alloc(50), Buffer.alloc(5000, 'hsqs'), Buffer.alloc(5000)]) {
    await writeFile(random, bytes)
    expect(() => readPayloadLayout(random)).toThrow(PayloadLayoutError)
  }
  const whole = await readFile(one.path)
  for (let at = 0; at < 96; at += 2) {
    const damaged = Buffer.from(whole)
    damaged.writeUInt16LE(0xffff, at)
    await writeFile(random, damaged)
    try {
      readPayloadLayout(random)
    } catch (error) {
      expect(error).toBeInstanceOf(PayloadLayoutError)
    }
  }
  const file = await open(random, 'w')
  await file.close()
})

async function treesOf(delta: Buffer): Promise<string[]> {
  return (await headerOf(delta)).trees.map(({ of }) => of)
}

async function headerOf(delta: Buffer): Promise<DeltaHeader> {
  let at = 0
  const { header } = await readDeltaStart(async (lengthBytes) => {
    at += lengthBytes
    return delta.subarray(at - lengthBytes, at)
  })
  return header
}
