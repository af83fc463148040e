import { createHash, randomBytes } from 'node:crypto'
import { openSync, readSync, truncateSync, writeSync } from 'node:fs'
import { open, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { MiB } from '@atomixos/config'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openTestInputs, scratchDir } from '../tools/test-inputs.ts'
import type { Patch } from '../vfat/place-file.ts'
import type { FlashImage } from './flash-image.ts'
import { alignedBuffer, openTarget } from './target.ts'
import { attachLoop, listeningReporter, runTool, whyNoLoopDevices } from './test-devices.ts'
import { applyPatches, type Written, writeImage } from './write-image.ts'

const noLoops = await whyNoLoopDevices()
/** Not a multiple of what is written at a time; zeros in the middle. */
const imageBytes = 22 * MiB + 512
const deviceBytes = 40 * MiB

let dir: Awaited<ReturnType<typeof scratchDir>>
let content: Buffer
let image: FlashImage
beforeEach(async () => {
  dir = await scratchDir()
  content = randomBytes(imageBytes)
  content.fill(0, 8 * MiB, 16 * MiB)
  const path = join(dir.path, 'image.img')
  await writeFile(path, content)
  image = {
    path,
    sizeBytes: imageBytes,
    sha256: createHash('sha256').update(content).digest('hex'),
    modifiedAtMs: 0,
    checkedBy: undefined,
    build: undefined,
    bootPartition: { offsetBytes: 0, sizeBytes: 0 },
  }
})
afterEach(() => dir[Symbol.asyncDispose]())

interface Attempt {
  readonly target: string
  readonly patches?: readonly Patch[]
  readonly onProgress?: (title: string, done: number) => void
  readonly signal?: AbortSignal
}

async function write({ target: path, patches = [], onProgress, signal }: Attempt) {
  const reporter = listeningReporter(onProgress)
  await using target = await openTarget(path, deviceBytes)
  const outcome: Written | Error = await writeImage({
    image,
    patches,
    target,
    reporter,
    signal: signal ?? new AbortController().signal,
  }).catch((error: Error) => error)
  return { outcome, said: reporter.said }
}

/** What was on the card before: other data, with a partition table's copy at its end. */
async function usedFile(): Promise<string> {
  const path = join(dir.path, 'card')
  await writeFile(path, Buffer.alloc(deviceBytes, 'old data '))
  return path
}

function readNow(path: string, position: number, sizeBytes: number): Buffer {
  const buffer = Buffer.alloc(sizeBytes)
  readSync(openSync(path, 'r'), buffer, 0, sizeBytes, position)
  return buffer
}

function flipBit(path: string, position: number): void {
  const file = openSync(path, 'r+')
  const byte = Buffer.alloc(1)
  readSync(file, byte, 0, 1, position)
  writeSync(file, Buffer.from([byte[0]! ^ 0x10]), 0, 1, position)
}

const head = { from: 0, bytes: MiB }
const zeroHead = Buffer.alloc(head.bytes)
const lost = 'is not usable now: what was on it is lost, and it does not boot'

describe('an image on a card, a file standing for it', () => {
  test('is there byte for byte; an older table at the end is gone; what lies between stays', async () => {
    const card = await usedFile()
    const { outcome, said } = await write({ target: card })
    expect(outcome).toMatchObject({ writtenBytes: imageBytes, skippedBytes: 0 })
    expect(said).toEqual([`done: writing ${card}`, 'done: reading back'])
    const after = await readFile(card)
    expect(after.subarray(0, imageBytes).equals(content)).toBe(true)
    expect(after.subarray(-MiB).equals(Buffer.alloc(MiB))).toBe(true)
    expect(after.subarray(imageBytes, imageBytes + 9).toString()).toBe(
      Buffer.alloc(deviceBytes, 'old data ')
        .subarray(imageBytes, imageBytes + 9)
        .toString(),
    )
  })

  test('zeros that are there already are not written again', async () => {
    const card = await usedFile()
    const file = await open(card, 'r+')
    await file.write(Buffer.alloc(4 * MiB), 0, 4 * MiB, 8 * MiB)
    await file.close()
    const { outcome } = await write({ target: card })
    expect(outcome).toMatchObject({ writtenBytes: imageBytes - 4 * MiB, skippedBytes: 4 * MiB })
    expect((await readFile(card)).subarray(0, imageBytes).equals(content)).toBe(true)
  })

  test('patches replace what they say, over the borders of pieces and in the head', async () => {
    const card = await usedFile()
    const patches = [
      { offsetBytes: 100, bytes: Buffer.from('in the head') },
      { offsetBytes: 4 * MiB - 3, bytes: Buffer.from('border') },
      { offsetBytes: 10 * MiB, bytes: Buffer.from('where zeros were') },
    ]
    const { outcome } = await write({ target: card, patches })
    expect(outcome).toMatchObject({ writtenBytes: imageBytes })
    for (const { offsetBytes, bytes } of patches) bytes.copy(content, offsetBytes)
    expect((await readFile(card)).subarray(0, imageBytes).equals(content)).toBe(true)
  })

  test('until all else was read back, there is nothing at the start that could boot', async () => {
    const card = await usedFile()
    const seen: string[] = []
    const { outcome } = await write({
      target: card,
      onProgress(title) {
        seen.push(title)
        expect(readNow(card, head.from, head.bytes).equals(zeroHead)).toBe(true)
      },
    })
    expect(outcome).not.toBeInstanceOf(Error)
    expect(seen.filter((title) => title === 'reading back')).toHaveLength(6)
  })

  test.each([
    ['in the middle', 5 * MiB + 17, 4 * MiB],
    ['where zeros are', 12 * MiB, 12 * MiB],
    ['in the last byte', imageBytes - 1, 20 * MiB],
    ['where an older table was', deviceBytes - 512, deviceBytes - MiB],
  ])('one flipped bit %s is found when it is read back', async (_, position, foundAt) => {
    const card = await usedFile()
    let flipped = false
    const { outcome } = await write({
      target: card,
      onProgress(title, done) {
        if (flipped || title === 'reading back' || done < imageBytes) return
        flipped = true
        flipBit(card, position)
      },
    })
    expect(outcome).toMatchObject({
      message: `what ${card} gives back is not what was written: it differs within the 4 MiB from byte ${foundAt}\n${card} ${lost}`,
      hint: 'the card is worn or smaller than it says, or the reader is bad: take another one',
    })
    expect(readNow(card, head.from, head.bytes).equals(zeroHead)).toBe(true)
  })

  test.each([
    ['writing', `writing `],
    ['reading back', 'reading back'],
  ])('stopped while %s: the device is said to be lost, and does not boot', async (_, during) => {
    const card = await usedFile()
    const stop = new AbortController()
    const { outcome, said } = await write({
      target: card,
      signal: stop.signal,
      onProgress(title) {
        if (title.startsWith(during)) stop.abort(new Error('Ctrl-C'))
      },
    })
    expect(outcome).toEqual(new Error('Ctrl-C'))
    expect(said.at(-1)).toBe(`warning: ${card} ${lost}. Run the command again.`)
    expect(readNow(card, head.from, head.bytes).equals(zeroHead)).toBe(true)
    expect(readNow(card, deviceBytes - MiB, MiB).equals(zeroHead)).toBe(true)
  })

  test('stopped before anything was written: the device is said to be as it was, and is', async () => {
    const card = await usedFile()
    const { said } = await write({ target: card, signal: AbortSignal.abort(new Error('Ctrl-C')) })
    expect(said).toEqual([`warning: ${card} was not changed.`])
    expect((await readFile(card)).equals(Buffer.alloc(deviceBytes, 'old data '))).toBe(true)
  })

  test('an image that changes while it is written makes no bootable device', async () => {
    const card = await usedFile()
    const { outcome } = await write({
      target: card,
      onProgress(_title, done) {
        if (done === 4 * MiB) flipBit(image.path, 21 * MiB)
      },
    })
    expect(outcome).toMatchObject({ message: `${image.path} changed while it was written\n${card} ${lost}` })
    expect(readNow(card, head.from, head.bytes).equals(zeroHead)).toBe(true)
  })

  test('an image that ends too early as well', async () => {
    const card = await usedFile()
    const { outcome } = await write({
      target: card,
      onProgress(_title, done) {
        if (done === 4 * MiB) truncateSync(image.path, 9 * MiB)
      },
    })
    expect(outcome).toMatchObject({
      message: `the image ${image.path} became shorter while it was written\n${card} ${lost}`,
    })
  })
})

describe.skipIf(noLoops)(`an image on a block device${noLoops ? ` (skipped: ${noLoops})` : ''}`, () => {
  const openTools = async () => (await openTestInputs()).toolTree('tools')

  test('is there byte for byte, and was read back from the device itself', async () => {
    await using loop = await attachLoop(await openTools(), dir.path, deviceBytes)
    const { outcome } = await write({ target: loop.path })
    expect(outcome).toEqual({ writtenBytes: imageBytes - 8 * MiB, skippedBytes: 8 * MiB, uncached: true })
    expect((await readFile(loop.backingPath)).subarray(0, imageBytes).equals(content)).toBe(true)
  })

  test('a bit that the medium flips is found behind this machine’s caches', async () => {
    await using loop = await attachLoop(await openTools(), dir.path, deviceBytes)
    // Fills the cache of the block device with what was there before, as a desktop does that looks at cards.
    await readFile(loop.path)
    const { outcome } = await write({
      target: loop.path,
      onProgress(title, done) {
        if (title !== 'reading back' && done === imageBytes) flipBit(loop.backingPath, 6 * MiB)
      },
    })
    expect(outcome).toMatchObject({
      message: expect.stringContaining('differs within the 4 MiB from byte 4194304'),
    })
  })

  test.each(['writing', 'reading back'])('pulled out while %s', async (during) => {
    const tools = await openTools()
    await using loop = await attachLoop(tools, dir.path, deviceBytes)
    let pulled: Promise<void> | undefined
    const reporter = listeningReporter()
    await using target = await openTarget(loop.path, deviceBytes)
    const outcome = await writeImage({
      image,
      patches: [],
      target,
      reporter: {
        ...reporter,
        task: (title) => {
          if (title.startsWith(during)) pulled = loop.pullOut()
          return reporter.task(title)
        },
      },
      signal: new AbortController().signal,
    }).catch((error: Error) => error)
    await pulled
    expect(outcome).toMatchObject({ message: expect.stringContaining(`${loop.path} ${lost}`) })
    expect((outcome as Error).message).toMatch(
      /^\S+ (could not be (written|read back)|ends at byte \d+).*it was pulled out/,
    )
    expect(reporter.said).not.toContain('done: reading back')
  })

  test('while anything on it is mounted, the kernel does not even open it', async () => {
    const tools = await openTools()
    await using loop = await attachLoop(tools, dir.path, deviceBytes)
    await runTool(tools, 'usr/sbin/mkfs.ext4', '-q', loop.path)
    const before = await readFile(loop.backingPath)
    const point = await scratchDir()
    await runTool(tools, 'usr/bin/mount', '-o', 'ro', '-t', 'ext4', loop.path, point.path)
    try {
      await expect(openTarget(loop.path, deviceBytes)).rejects.toMatchObject({
        message: `${loop.path} cannot be written: something on this machine uses it. It was not changed.`,
      })
    } finally {
      await runTool(tools, 'usr/bin/umount', point.path)
      await point[Symbol.asyncDispose]()
    }
    expect((await readFile(loop.backingPath)).equals(before)).toBe(true)
  })
})

test('memory for devices begins on a page', () => {
  expect(alignedBuffer(MiB + 1).byteLength).toBe(MiB + 1)
  expect(alignedBuffer(4096).byteOffset).toBe(0)
})

test('patches outside of a piece leave it alone', () => {
  const chunk = Buffer.from('abcdef')
  const at = (offsetBytes: number, text: string) => ({ offsetBytes, bytes: Buffer.from(text) })
  applyPatches(chunk, 10, [at(0, 'xxxxxxxxxx'), at(16, 'y'), at(9, '__'), at(15, '++')])
  expect(chunk.toString()).toBe('_bcde+')
})
