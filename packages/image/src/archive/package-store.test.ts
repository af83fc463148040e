import { copyFile, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { LockedPackage } from '../lock/lock.ts'
import { silentReporter } from '../reporter.ts'
import { openTestInputs, scratchDir } from '../tools/test-inputs.ts'
import { ContentReader } from '../tree/read-content.ts'
import { contentSize, type Tree } from '../tree/tree.ts'
import type { XzDecoder } from './decompress.ts'
import { PackageStore } from './package-store.ts'

const fixtures = join(import.meta.dirname, 'fixtures')
const long = 'n'.repeat(120)

function sample(kind: string): LockedPackage {
  return {
    ...{ name: 'sample', version: '1.2-3', architecture: 'all', source: 'sample', sourceVersion: '1.2-3' },
    ...{ archive: 'debian', path: `pool/main/s/sample/${kind}`, sizeBytes: 1, sha256: kind.padEnd(64, '0') },
  }
}

async function openStore(options: { debPath?: string; xz?: XzDecoder } = {}) {
  const dir = await scratchDir()
  const store = new PackageStore({
    cacheDir: dir.path,
    debPath: ({ path }) => options.debPath ?? join(fixtures, `sample-${path.split('/').at(-1)}.deb`),
    xz: async () => options.xz ?? { kind: 'wasm' },
    reporter: silentReporter,
    signal: new AbortController().signal,
  })
  return { dir, store, [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose]() }
}

async function describeTree(tree: Tree): Promise<string[]> {
  const lines: string[] = []
  await using reader = new ContentReader()
  for (const [path, node] of tree) {
    const what = `${node.type} ${node.mode.toString(8)} ${node.uid}:${node.gid} ${path.replaceAll(long, 'LONG')}`
    if (node.type === 'symlink') lines.push(`${what} -> ${node.target.replaceAll(long, 'LONG')}`)
    else if (node.type === 'char') lines.push(`${what} ${node.major},${node.minor}`)
    else if (node.type === 'file') {
      const text = Buffer.from(await reader.read(node.content)).toString()
      lines.push(`${what} ${text.length > 40 ? `${text.length} times ${text[0]}` : JSON.stringify(text)}`)
      expect(contentSize(node.content)).toBe(text.length)
    } else lines.push(what)
  }
  return lines.sort()
}

const expected = [
  'char 666 0:0 /dev/sample 1,3',
  'directory 1777 0:0 /usr/share/sample/sticky',
  'directory 755 0:0 /',
  'directory 755 0:0 /dev',
  'directory 755 0:0 /etc',
  'directory 755 0:0 /usr',
  'directory 755 0:0 /usr/bin',
  'directory 755 0:0 /usr/lib',
  'directory 755 0:0 /usr/lib/systemd',
  'directory 755 0:0 /usr/share',
  'directory 755 0:0 /usr/share/sample',
  'directory 755 0:0 /usr/share/sample/LONG',
  'fifo 644 0:0 /dev/pipe',
  'file 4755 0:0 /usr/bin/sample "#!/bin/sh\\necho sample\\n"',
  'file 4755 0:0 /usr/bin/sample-hardlink "#!/bin/sh\\necho sample\\n"',
  'file 640 0:42 /etc/sample.conf "setting=1\\n"',
  'file 644 0:0 /usr/lib/systemd/sample.service "unit\\n"',
  'file 644 0:0 /usr/share/sample/LONG/LONG "long\\n"',
  'file 644 0:0 /usr/share/sample/empty ""',
  'file 644 0:0 /usr/share/sample/zeros 200000 times z',
  'symlink 777 0:0 /etc/absolute-link -> /usr/share/sample',
  'symlink 777 0:0 /usr/bin/sample-link -> sample',
  'symlink 777 0:0 /usr/share/sample/long-link -> ../LONG/LONG',
]

describe('a package in the store', () => {
  test.each(['xz', 'gzip', 'zstd'])('is the tree that dpkg-deb packed with %s', async (kind) => {
    await using opened = await openStore()
    expect(await describeTree(await opened.store.packageTree(sample(kind)))).toEqual(expected)
  })

  test('is the same when the xz of the tools decodes it', async () => {
    const tools = await (await openTestInputs()).toolTree('tools')
    const argv = [...tools.unconfined().loader, join(tools.dir, 'usr/bin/xz')]
    await using opened = await openStore({ xz: { kind: 'program', argv } })
    expect(await describeTree(await opened.store.packageTree(sample('xz')))).toEqual(expected)
  })

  test('keeps hard links as equal content', async () => {
    await using opened = await openStore()
    const tree = await opened.store.packageTree(sample('xz'))
    expect(tree.get('/usr/bin/sample-hardlink')).toEqual(tree.get('/usr/bin/sample'))
    expect(tree.get('/usr/bin/sample')?.origin).toBe('package sample')
  })

  test('is unpacked once and read from there afterwards', async () => {
    await using opened = await openStore()
    const [first] = await opened.store.packageTrees([sample('xz')])
    const index = join(opened.dir.path, 'packages', sample('xz').sha256, 'index.json')
    await writeFile(index, (await readFile(index, 'utf8')).replace('/usr/share/sample/empty', '/changed'))
    const [second] = await opened.store.packageTrees([sample('xz')])
    expect(first!.has('/usr/share/sample/empty')).toBe(true)
    expect(second!.has('/changed')).toBe(true)
  })

  test('tells its control fields and conffiles', async () => {
    await using opened = await openStore()
    const control = await opened.store.packageControl(sample('xz'))
    expect(control.get('conffiles')).toBe('/etc/sample.conf\n')
    expect(control.get('control')).toContain('Depends: dash\n')
  })
})

describe('a damaged package', () => {
  async function damage(change: (bytes: Buffer) => Buffer, kind = 'xz', xz?: XzDecoder) {
    const dir = await scratchDir()
    const debPath = join(dir.path, 'damaged.deb')
    await copyFile(join(fixtures, `sample-${kind}.deb`), debPath)
    await writeFile(debPath, change(await readFile(debPath)))
    await using opened = await openStore({ debPath, ...(xz === undefined ? {} : { xz }) })
    const error = await opened.store.packageTree(sample(kind)).catch((caught: unknown) => caught)
    const left = await readdir(join(opened.dir.path, 'packages'))
    await dir[Symbol.asyncDispose]()
    return { error: error as Error & { hint?: string }, left, debPath }
  }

  test('says what is wrong and what to do, and leaves nothing behind', async () => {
    const { error, left, debPath } = await damage((bytes) => bytes.subarray(0, 900))
    expect(error.message).toBe(
      'package sample 1.2-3 cannot be unpacked: it ends in the middle of the member at byte 532',
    )
    expect(error.hint).toBe(
      `remove ${debPath} and run the command again: the file is then fetched and verified anew`,
    )
    expect(left).toEqual([])
  })

  test.each([
    ['is no archive at all', () => Buffer.from('<html>'), 'it does not begin as an ar archive'],
    ['is an archive without data', (bytes: Buffer) => bytes.subarray(0, 532), 'it has no data.tar'],
  ])('%s', async (_, change, message) => {
    expect((await damage(change)).error.message).toBe(`package sample 1.2-3 cannot be unpacked: ${message}`)
  })

  test.each(['xz', 'gzip', 'zstd'])('is noticed by a flipped bit within %s data', async (kind) => {
    const { error, left } = await damage((bytes) => {
      bytes[bytes.length - 200]! ^= 0x10
      return bytes
    }, kind)
    expect(error.message).toMatch(/^package sample 1.2-3 cannot be unpacked: /)
    expect(left).toEqual([])
  })

  test('is noticed by the xz of the tools, too', async () => {
    const tools = await (await openTestInputs()).toolTree('tools')
    const argv = [...tools.unconfined().loader, join(tools.dir, 'usr/bin/xz')]
    const flip = (bytes: Buffer) => {
      bytes[bytes.length - 200]! ^= 0x10
      return bytes
    }
    const { error } = await damage(flip, 'xz', { kind: 'program', argv })
    expect(error.message).toBe('package sample 1.2-3 cannot be unpacked: Compressed data is corrupt')
  })
})
