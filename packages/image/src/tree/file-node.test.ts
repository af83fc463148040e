import { createHash } from 'node:crypto'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { fileSha256 } from './file-node.ts'

test('a hash that many ask for at a time is the same for all, and leaves one note', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'atomixos-file-node-'))
  try {
    const path = join(dir, 'image')
    const content = Buffer.alloc(3_000_000, 'content ')
    await writeFile(path, content)
    const hashes = await Promise.all(Array.from({ length: 20 }, () => fileSha256(path)))
    expect(new Set(hashes)).toEqual(new Set([createHash('sha256').update(content).digest('hex')]))
    expect((await readdir(dir)).sort()).toEqual(['image', 'image.sha256'])
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
})
