/** A boot partition that somebody has put a file on still leads to the next bundle. */
import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { bootSeedName } from '@atomixos/config'
import { rebuilt } from '@atomixos/config/delta/test-deltas.ts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { payloadImages, writePayload } from '../bundle/payload.ts'
import { writeBundle } from '../bundle/sign.ts'
import { openTestInputs, type TestInputs } from '../kernel/test-inputs.ts'
import { buildBootSlot } from '../vfat/boot-slot.ts'
import { parseFat16 } from '../vfat/fat16.ts'
import { placeFile } from '../vfat/place-file.ts'
import { usedClusters } from '../vfat/used-clusters.ts'
import { makeDelta } from './make-delta.ts'
import { readPlainBundle } from './plain-bundle.ts'

let given: TestInputs
let boot: Buffer
let rootfs: Buffer
let delta: Buffer
let wanted: Buffer
beforeAll(async () => {
  given = await openTestInputs()
  const kernel = randomBytes(3_000_001)
  rootfs = randomBytes(200_000)
  const [from, to] = [await bundle('from', kernel, 'one'), await bundle('to', kernel, 'another')]
  boot = await readFile(from.bootPath)
  wanted = await readFile(to.path)
  const verity = to.payload.verity
  delta = await makeDelta({
    from: await readPlainBundle(from.path),
    to: await readPlainBundle(to.path),
    verity,
  })
}, 120_000)
afterAll(() => given[Symbol.asyncDispose]())

async function bundle(name: string, kernel: Buffer, script: string) {
  const dir = join(given.dir, name)
  await mkdir(join(dir, 'blocks'), { recursive: true })
  const files = new Map([
    ['Image', { kind: 'bytes' as const, bytes: kernel }],
    ['boot.scr', { kind: 'bytes' as const, bytes: Buffer.from(script) }],
  ])
  const { path: bootPath } = await buildBootSlot({ files, sourceDateEpoch: 1_700_000_000 }, given)
  await writeFile(join(dir, 'rootfs.squashfs'), rootfs)
  const images = await payloadImages([
    { slotClass: 'boot', filename: 'boot.vfat', path: bootPath },
    { slotClass: 'rootfs', filename: 'rootfs.squashfs', path: join(dir, 'rootfs.squashfs') },
  ])
  const options = { sourceDateEpoch: 1_700_000_000, workDir: join(dir, 'blocks') }
  const payload = await writePayload(images, join(dir, 'payload'), options)
  const path = join(dir, 'bundle.raucb')
  await writeBundle({ payloadPath: payload.path, signature: Buffer.from(`\x30 ${name}`), outPath: path })
  return { path, bootPath, payload }
}

async function leads(changedBoot: Buffer): Promise<boolean> {
  const { bundle: made, problem } = await rebuilt(delta, [changedBoot, rootfs])
  return problem === undefined && made.equals(wanted)
}

test('the delta is small, and leads from the partition as it was released', async () => {
  // Tables and root folder are in it; the kernel is not.
  expect(delta.byteLength).toBeLessThan(60_000)
  expect(await leads(boot)).toBe(true)
})

test('it leads from a partition that holds a configuration as well', async () => {
  const fat = parseFat16(boot.subarray(0, 512), 'the test')
  const table = boot.subarray(fat.tableOffsets[0]!, fat.tableOffsets[0]! + fat.tableBytes)
  const root = boot.subarray(fat.rootOffset, fat.dataOffset)
  const changed = Buffer.from(boot)
  const file = { name: bootSeedName, bytes: Buffer.from('version = 1\n'.repeat(1000)) }
  for (const { offsetBytes, bytes } of placeFile(fat, { table, root }, file)) bytes.copy(changed, offsetBytes)
  expect(changed.equals(boot)).toBe(false)
  expect(await leads(changed)).toBe(true)
})

test('it takes nothing but what files hold: all else may be anything', async () => {
  const { offsetBytes, lengthBytes } = usedClusters(boot)!
  expect(lengthBytes).toBeGreaterThan(3_000_000)
  expect(lengthBytes).toBeLessThan(3_100_000)
  const changed = randomBytes(boot.byteLength)
  boot.copy(changed, offsetBytes, offsetBytes, offsetBytes + lengthBytes)
  expect(await leads(changed)).toBe(true)
  changed[offsetBytes + 1_000_000]! ^= 1
  expect(await leads(changed)).toBe(false)
})

test('what is no FAT16, or holds nothing, has no such part', () => {
  expect(usedClusters(randomBytes(100_000))).toBeUndefined()
  expect(usedClusters(Buffer.alloc(10))).toBeUndefined()
  // Cut off.
  expect(usedClusters(boot.subarray(0, 1_000_000))).toBeUndefined()
  const empty = Buffer.from(boot)
  const fat = parseFat16(boot.subarray(0, 512), 'the test')
  empty.fill(0, fat.tableOffsets[0]! + 4, fat.tableOffsets[0]! + fat.tableBytes)
  expect(usedClusters(empty)).toBeUndefined()
})
