import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, open, truncate, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { lookAtData } from '@atomixos/e2e/power-campaign/look.ts'
import { readFiles } from '@atomixos/e2e/power-campaign/read-data.ts'
import { openTestInputs, scratchDir } from '@atomixos/image/tools/test-inputs.ts'
import { type Programs, treePrograms } from '@atomixos/machine'
import { beforeAll, describe, expect, test } from 'vitest'

const MiB = 1024 * 1024

describe('the campaign looks at /data with the fsck.f2fs of the lock', () => {
  let programs: Programs
  beforeAll(async () => {
    const inputs = await openTestInputs()
    programs = treePrograms((await inputs.toolTree('tools')).dir)
  })

  async function makeFileSystem(dir: string, options: readonly string[] = []): Promise<string> {
    const path = join(dir, 'data.raw')
    await writeFile(path, '')
    await truncate(path, 128 * MiB)
    await run('mkfs.f2fs', ['-q', ...options, path])
    return path
  }

  async function run(name: string, args: readonly string[]): Promise<void> {
    const [program, ...argv] = programs.argv(name)
    await promisify(execFile)(program!, [...argv, ...args], { env: {} })
  }

  async function overwrite(path: string, offset: number, sizeBytes: number): Promise<void> {
    await using file = await open(path, 'r+')
    await file.write(Buffer.alloc(sizeBytes), 0, sizeBytes, offset)
  }

  test('a fresh file system is consistent, also in a file with more behind it', async () => {
    await using dir = await scratchDir()
    const path = await makeFileSystem(dir.path)
    await truncate(path, 130 * MiB)
    expect(await lookAtData(programs, path)).toEqual({ consistent: true, detail: '', tree: new Map() })
  })
  test.each([
    // Segments of 2 MiB: superblocks in the first, both checkpoints in the next two, then segment and node tables.
    ['both superblocks', 0, 8192],
    ['both checkpoints', 2 * MiB, 2.5 * MiB],
    ['the tables of segments and nodes', 6 * MiB, 6 * MiB],
  ])('with %s lost it is not', async (_, offset, sizeBytes) => {
    await using dir = await scratchDir()
    const path = await makeFileSystem(dir.path)
    await overwrite(path, offset, sizeBytes)
    const { consistent, detail } = await lookAtData(programs, path)
    expect(consistent).toBe(false)
    expect(detail).toMatch(/^fsck\.f2fs ended with \d+: ./)
  })
  test('nothing at all is not', async () => {
    await using dir = await scratchDir()
    const path = join(dir.path, 'data.raw')
    await writeFile(path, '')
    await truncate(path, 128 * MiB)
    expect((await lookAtData(programs, path)).consistent).toBe(false)
  })
  test.each([
    ['as it is', []],
    // What systemd-repart says: inodes have more in them.
    ['with the attributes of a device', ['-g', 'android']],
  ])('files are read from one %s, in an inode and in blocks', async (_, options) => {
    await using dir = await scratchDir()
    const path = await makeFileSystem(dir.path, options)
    const contents = { 'config/a note': 'small\n', 'config/ssh/alice': '', 'config/big': 'x'.repeat(300_000) }
    for (const [name, text] of Object.entries(contents)) {
      await mkdir(dirname(join(dir.path, 'files', name)), { recursive: true })
      await writeFile(join(dir.path, 'files', name), text)
    }
    await run('sload.f2fs', ['-f', join(dir.path, 'files'), path])
    const { consistent, tree } = await lookAtData(programs, path)
    expect(consistent).toBe(true)
    expect([...tree.keys()].sort()).toEqual(['config', 'config/ssh', ...Object.keys(contents)].sort())
    const files = await readFiles(programs, path, tree, dir.path)
    const hash = (text: string) => createHash('sha256').update(text).digest('hex')
    expect(Object.fromEntries([...files].map(([name, { sha256 }]) => [name, sha256]))).toEqual(
      Object.fromEntries(Object.entries(contents).map(([name, text]) => [name, hash(text)])),
    )
    expect(files.get('config/a note')?.text).toBe('small\n')
  })
})
