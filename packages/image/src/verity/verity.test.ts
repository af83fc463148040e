import { appendFile, mkdir, open, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { verityBlockBytes } from '@atomixos/config/delta/index.ts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openTestInputs, type TestInputs } from '../kernel/test-inputs.ts'
import { appendVerity, type VerityParameters } from './verity.ts'

describe('appendVerity', () => {
  let given: TestInputs
  let dir: string
  beforeAll(async () => {
    given = await openTestInputs()
    dir = join(given.dir, 'images')
    await mkdir(dir)
  })
  afterAll(() => given[Symbol.asyncDispose]())

  const verify = (name: string, { rootHash, hashOffsetBytes }: VerityParameters) =>
    given.tools.run({
      argv: [
        '/usr/sbin/veritysetup',
        'verify',
        `--hash-offset=${hashOffsetBytes}`,
        `/images/${name}`,
        `/images/${name}`,
        rootHash,
      ],
      purpose: 'the test',
      mounts: [{ hostPath: dir, guestPath: '/images', writable: false }],
      timeoutMs: 60_000,
    })

  // Trees of one, two and three levels.
  test.each([2, 128, 129, 128 * 128 + 1])('veritysetup verifies an image of %i blocks', async (blocks) => {
    const path = join(dir, `${blocks}`)
    const block = Buffer.alloc(verityBlockBytes)
    await writeFile(path, '')
    for (let i = 0; i < blocks; i += 128) {
      const count = Math.min(128, blocks - i)
      await appendFile(
        path,
        Buffer.concat(Array.from({ length: count }, (_, j) => Buffer.from(block.fill(i + j)))),
      )
    }
    const parameters = appendVerity(path, 'test')
    expect(parameters.dataBytes).toBe(blocks * verityBlockBytes)
    await verify(`${blocks}`, parameters)

    await using file = await open(path, 'r+')
    await file.write(Buffer.from('!'), 0, 1, blocks * verityBlockBytes - 7)
    await expect(verify(`${blocks}`, parameters)).rejects.toThrow('veritysetup')
  })

  test('same data, same root hash; another purpose, another', async () => {
    const hashes: string[] = []
    for (const [name, purpose] of [
      ['x', 'rootfs'],
      ['y', 'rootfs'],
      ['z', 'other'],
    ] as const) {
      await writeFile(join(dir, name), Buffer.alloc(3 * verityBlockBytes, 'data'))
      hashes.push(appendVerity(join(dir, name), purpose).rootHash)
    }
    expect(hashes[1]).toBe(hashes[0])
    expect(hashes[2]).not.toBe(hashes[0])
  })

  test('an image that does not end with a block is refused', async () => {
    await writeFile(join(dir, 'odd'), Buffer.alloc(5000))
    expect(() => appendVerity(join(dir, 'odd'), 'test')).toThrow('not two or more blocks of 4096')
  })
})
