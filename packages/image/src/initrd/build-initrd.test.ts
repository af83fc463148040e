import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { findZstdFrames } from '../delta/zstd-frames.ts'
import { silentReporter } from '../reporter.ts'
import { StepRunner } from '../step/step.ts'
import type { Tree } from '../tree/tree.ts'
import { buildInitrd } from './build-initrd.ts'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'atomixos-initrd-'))
})
afterEach(() => rm(dir, { recursive: true, force: true }))

test('an initrd is one zstd frame, and nothing else that would be a matter of speed', async () => {
  const owned = { mode: 0o644, uid: 0, gid: 0, origin: 'test' }
  const tree: Tree = new Map(
    Array.from({ length: 300 }, (_, i) => [
      `/${i}`,
      { ...owned, type: 'file', content: { kind: 'bytes', bytes: Buffer.from(`${i} `.repeat(i * 50)) } },
    ]),
  )
  const steps = new StepRunner({
    cacheDir: dir,
    reporter: silentReporter,
    signal: new AbortController().signal,
  })
  const { path } = await buildInitrd({ tree, sourceDateEpoch: 1_700_000_000 }, { steps })
  const bytes = await readFile(path)
  expect([...findZstdFrames(bytes)]).toMatchObject([{ offsetBytes: 0, diskBytes: bytes.byteLength }])
})
