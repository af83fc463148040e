import { createHash } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Lock } from '../lock/lock.ts'
import { hashFiles } from './hash-files.ts'
import { describeArtifacts, makeManifest, renderChecksums } from './manifest.ts'

let dir: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'atomixos-manifest-'))
})
afterAll(() => rm(dir, { recursive: true }))

test('artifacts come with size and SHA-256, in order of name', async () => {
  await writeFile(join(dir, 'b'), 'bytes')
  await writeFile(join(dir, 'a'), '')
  const artifacts = await describeArtifacts([
    { name: 'rootfs.squashfs', kind: 'root file system', path: join(dir, 'b') },
    { name: 'boot.scr', kind: 'boot script', path: join(dir, 'a') },
  ])
  const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
  expect(artifacts).toEqual([
    { name: 'boot.scr', kind: 'boot script', sizeBytes: 0, sha256: sha256('') },
    { name: 'rootfs.squashfs', kind: 'root file system', sizeBytes: 5, sha256: sha256('bytes') },
  ])
  expect(renderChecksums(artifacts)).toBe(`${sha256('')}  boot.scr\n${sha256('bytes')}  rootfs.squashfs\n`)
})

test('a file that is not there is named', async () => {
  await expect(hashFiles([join(dir, 'missing')])).rejects.toThrow(`${join(dir, 'missing')} cannot be hashed`)
})

test('the manifest tells where slot A is, and what it was made of', () => {
  const lock: Lock = {
    version: 1,
    series: 'trixie',
    sourceDateEpoch: 1_700_000_000,
    archives: [],
    targets: { rootfs: { architecture: 'arm64', requested: [], omitted: [], packages: [] } },
    sources: {},
    npm: [],
  }
  const verity = { rootHash: 'ab', salt: 'cd', dataBytes: 4096, hashOffsetBytes: 4096, totalBytes: 12288 }
  const facts = {
    board: 'rock64',
    version: '1.2.3',
    variant: 'release',
    lock,
    lockSha256: 'ef',
    artifacts: [],
    verity,
  }
  const manifest = makeManifest(facts)
  expect(manifest).toMatchObject({
    series: 'trixie',
    verity,
    inputs: { lockSha256: 'ef', packages: { rootfs: 0 } },
    disk: {
      firmware: [
        { name: 'idbloader.img', offsetBytes: 32768 },
        { name: 'u-boot.itb', offsetBytes: 8388608 },
      ],
    },
  })
  expect(manifest.disk.partitions.map(({ label, offsetBytes }) => [label, offsetBytes])).toEqual([
    ['boot-a', 16777216],
    ['rootfs-a', 150994944],
  ])
})
