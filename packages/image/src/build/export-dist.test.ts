import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { exportDist, exportOne } from './export-dist.ts'

let dir: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'atomixos-dist-'))
  for (const name of ['old', 'newer', 'manifest.json', 'SHA256SUMS']) await writeFile(join(dir, name), name)
})
afterAll(() => rm(dir, { recursive: true, force: true }))

test('one artifact made anew leaves the others, and no manifest that tells of the old one', async () => {
  const distDir = join(dir, 'dist')
  const file = (name: string, from = name) => ({ name, path: join(dir, from) })
  await exportDist([file('a', 'old'), file('b', 'old'), file('manifest.json'), file('SHA256SUMS')], distDir)
  expect(await exportOne(file('a', 'old'), distDir)).toEqual({ changed: false })
  expect(await readdir(distDir)).toContain('manifest.json')
  expect(await exportOne(file('a', 'newer'), distDir)).toEqual({ changed: true })
  expect((await readdir(distDir)).sort()).toEqual(['a', 'b'])
})
