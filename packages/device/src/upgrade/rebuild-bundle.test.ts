import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DeltaError } from '@atomixos/config'
import { testDelta } from '@atomixos/config/delta/test-deltas.ts'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type RebuildOptions, rebuildFromDelta } from './rebuild-bundle.ts'

const delta = await testDelta()
const [boot, rootfs] = delta.sources as [Buffer, Buffer]

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'atomixos-rebuild-'))
  // A partition is larger than the image in it.
  await writeFile(join(dir, 'boot'), Buffer.concat([boot, Buffer.alloc(10_000, 'rest')]))
  await writeFile(join(dir, 'rootfs'), rootfs)
  await writeFile(join(dir, 'delta'), delta.bytes)
})
afterEach(() => rm(dir, { recursive: true, force: true }))

function rebuild(options: Partial<RebuildOptions> = {}): Promise<void> {
  return rebuildFromDelta({
    deltaPath: join(dir, 'delta'),
    bundle: delta.header.result,
    outPath: join(dir, 'out', 'bundle'),
    sourcePath: (name) => join(dir, name),
    reserveBytes: 0,
    ...options,
  })
}

const left = async () => readdir(join(dir, 'out')).catch(() => [])

test('the bundle is made of the partitions, which stay as they are', async () => {
  const progress: number[] = []
  await rebuild({ onProgress: (done) => progress.push(done) })
  expect((await readFile(join(dir, 'out', 'bundle'))).equals(delta.bundle)).toBe(true)
  expect((await readFile(join(dir, 'rootfs'))).equals(rootfs)).toBe(true)
  // What was unpacked meanwhile has no name.
  expect(await left()).toEqual(['bundle'])
  expect(progress.at(-1)).toBe(delta.header.plainBytes)
})

test('a further file on the boot partition changes nothing of what the delta takes', async () => {
  const changed = Buffer.from(boot)
  // Where no step of this delta reads.
  changed.fill('config', 50)
  changed.set(boot.subarray(100), 100)
  expect(changed.equals(boot)).toBe(false)
  await writeFile(join(dir, 'boot'), changed)
  await rebuild()
  expect((await readFile(join(dir, 'out', 'bundle'))).equals(delta.bundle)).toBe(true)
})

describe('nothing is left of it when', () => {
  async function requireFailure(options: Partial<RebuildOptions>, message: RegExp | string) {
    await expect(rebuild(options)).rejects.toThrow(message)
    expect(await left()).toEqual([])
  }

  test('a partition was written to', async () => {
    const flipped = (bytes: Buffer) => {
      const changed = Buffer.from(bytes)
      changed[20_000] = changed[20_000]! ^ 1
      return changed
    }
    await writeFile(join(dir, 'boot'), flipped(boot))
    await requireFailure({}, 'the boot partition is not what was released as the version that runs')
    await writeFile(join(dir, 'boot'), boot)
    await writeFile(join(dir, 'rootfs'), flipped(rootfs))
    await requireFailure({}, 'the rootfs partition is not what was released as the version that runs')
  })

  test('a partition is too small, or not there', async () => {
    await writeFile(join(dir, 'rootfs'), rootfs.subarray(0, 5000))
    await requireFailure({}, 'the rootfs partition is smaller than the delta says')
    await rm(join(dir, 'rootfs'))
    await requireFailure({}, /ENOENT/)
  })

  test('the delta is damaged, cut off, or none', async () => {
    const damaged = Buffer.from(delta.bytes)
    damaged[damaged.byteLength - 12] = damaged[damaged.byteLength - 12]! ^ 1
    for (const bytes of [damaged, delta.bytes.subarray(0, -30), Buffer.alloc(50), Buffer.alloc(0)]) {
      await writeFile(join(dir, 'delta'), bytes)
      await expect(rebuild()).rejects.toBeInstanceOf(DeltaError)
      expect(await left()).toEqual([])
    }
  })

  test('it leads to another bundle than the channel names', async () => {
    await requireFailure(
      { bundle: { ...delta.header.result, sha256: 'ab'.repeat(32) } },
      'it leads to another bundle than the channel names',
    )
  })

  test('there is no space, and that is nothing against the delta', async () => {
    const error = await rebuild({ reserveBytes: 2 ** 52 }).catch((cause: Error) => cause)
    expect(error).toMatchObject({ code: 'ENOSPC', message: expect.stringContaining('not enough space') })
    expect(error).not.toBeInstanceOf(DeltaError)
    expect(await left()).toEqual([])
  })

  test('it is stopped', async () => {
    const stop = new AbortController()
    await requireFailure({ signal: stop.signal, onProgress: () => stop.abort(new Error('enough')) }, 'enough')
  })
})
