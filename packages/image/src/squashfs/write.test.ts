import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openTestInputs, type TestInputs } from '../kernel/test-inputs.ts'
import type { Content, FileNode, Tree, TreeNode } from '../tree/tree.ts'
import { listImage, listTree } from './test-listing.ts'
import { type SquashfsOptions, writeSquashfs } from './write.ts'

const MiB = 1024 * 1024
const sourceDateEpoch = 1_700_000_000
const owner = { uid: 0, gid: 0, origin: 'test' }
const directory = (mode = 0o755): TreeNode => ({ type: 'directory', mode, ...owner })
const file = (bytes: Uint8Array | string, node: Partial<FileNode> = {}): FileNode => ({
  type: 'file',
  mode: 0o644,
  ...owner,
  content: { kind: 'bytes', bytes: Buffer.from(bytes) },
  ...node,
})
/** Bytes that do not compress, the same in every run. */
function noise(size: number, seed: string): Buffer {
  const pieces: Buffer[] = []
  for (let i = 0; i * 32 < size; i += 1) pieces.push(createHash('sha256').update(`${seed} ${i}`).digest())
  return Buffer.concat(pieces).subarray(0, size)
}
function treeOf(nodes: Readonly<Record<string, TreeNode>>): Tree {
  return new Map(Object.entries({ '/': directory(), ...nodes }))
}

let given: TestInputs
let dir: string
beforeAll(async () => {
  given = await openTestInputs()
  dir = await mkdtemp(join(tmpdir(), 'atomixos-squashfs-'))
})
afterAll(async () => {
  await given[Symbol.asyncDispose]()
  await rm(dir, { recursive: true, force: true })
})

let images = 0
async function write(tree: Tree, options: Partial<SquashfsOptions> = {}) {
  images += 1
  const path = join(dir, `${images}.squashfs`)
  const summary = await writeSquashfs(tree, path, {
    compression: { level: 1 },
    sourceDateEpoch,
    blockCacheDir: join(dir, 'blocks'),
    ...options,
  })
  return {
    path,
    summary,
    sha256: createHash('sha256')
      .update(await readFile(path))
      .digest('hex'),
  }
}

async function expectFaithful(tree: Tree, options: Partial<SquashfsOptions> = {}) {
  const { path } = await write(tree, options)
  const found = await listImage(path, given.tools)
  const expected = await listTree(tree, sourceDateEpoch)
  // Not the whole of both: ten thousand lines of difference help nobody.
  const differing = [...new Set([...Object.keys(found), ...Object.keys(expected)])]
    .filter((name) => found[name] !== expected[name])
    .slice(0, 5)
    .map((name) => ({ name, found: found[name], expected: expected[name] }))
  expect(differing).toEqual([])
}

const awkward = treeOf({
  '/empty': file(''),
  '/one': file('1'),
  '/below-a-block': file(noise(MiB - 1, 'a')),
  '/a-block': file(noise(MiB, 'b')),
  '/above-a-block': file(noise(MiB + 1, 'c')),
  '/compressible': file(Buffer.alloc(3 * MiB + 5, 'squashfs ')),
  '/zeros': file(Buffer.alloc(2 * MiB)),
  '/few-zeros': file(Buffer.alloc(700)),
  '/hole': file(Buffer.concat([noise(MiB, 'd'), Buffer.alloc(2 * MiB), noise(10, 'e')])),
  '/hole-at-the-end': file(Buffer.concat([noise(MiB, 'd'), Buffer.alloc(5000)])),
  '/setuid': file('x', { mode: 0o4755 }),
  '/setgid': file('x', { mode: 0o2755, gid: 42 }),
  '/sticky': directory(0o1777),
  '/capable': file('ping', {
    xattrs: { 'security.capability': Buffer.from('0100000200200000000000000000000000000000', 'hex') },
  }),
  '/capable-too': file('arping', {
    xattrs: { 'security.capability': Buffer.from('0100000200200000000000000000000000000000', 'hex') },
  }),
  '/marked': { ...directory(), xattrs: { 'user.a': Buffer.from('1'), 'trusted.b': Buffer.from('two') } },
  '/null': { type: 'char', mode: 0o666, major: 1, minor: 3, ...owner },
  '/disk': { type: 'block', mode: 0o660, major: 179, minor: 8, ...owner, gid: 6 },
  '/pipe': { type: 'fifo', mode: 0o600, ...owner, uid: 65534, gid: 65534 },
  '/link': { type: 'symlink', mode: 0o777, target: '../some where/else', ...owner },
  '/with space': file('space'),
  '/übergroß €': file('unicode'),
  [`/${'n'.repeat(255)}`]: file('long name'),
})

describe('writeSquashfs, read back by unsquashfs', () => {
  test('types, modes, owners, extended attributes, holes and sizes around a block', async () => {
    await expectFaithful(awkward)
  })

  test('with small blocks, small shared blocks and alignment', async () => {
    await expectFaithful(awkward, { blockBytes: 4096, shareBelowBytes: 512 })
    await expectFaithful(awkward, { alignBytes: 4096, shareBelowBytes: 65536 })
  })

  test('a directory of ten thousand files, whose listing takes many blocks', async () => {
    const files = Array.from({ length: 10_000 }, (_, i): [string, TreeNode] => [
      `/many/${`entry ${i} `.padEnd(60, 'x')}`,
      file(`content ${i % 500}`),
    ])
    await expectFaithful(treeOf({ '/many': directory(), ...Object.fromEntries(files) }))
  })

  test('seventy thousand inodes, further apart than one listing header reaches', async () => {
    const wide: Record<string, TreeNode> = {}
    for (const first of 'ab') {
      wide[`/${first}`] = directory()
      for (let i = 0; i < 35_000; i += 1) {
        wide[`/${first}/${i}`] = { type: 'symlink', mode: 0o777, target: `${i}`, ...owner }
      }
    }
    await expectFaithful(treeOf(wide))
  })

  test('two hundred directories deep, and three hundred owners', async () => {
    const deep: Record<string, TreeNode> = {}
    let path = ''
    for (let i = 0; i < 200; i += 1) {
      path += `/d${i}`
      deep[path] = directory()
    }
    for (let i = 0; i < 300; i += 1)
      deep[`/owned-${i}`] = file('x', { uid: 1000 + i, gid: 2_000_000_000 + i })
    await expectFaithful(treeOf({ ...deep, [`${path}/leaf`]: file('leaf') }))
  })

  test('real packages, with contents in the package store', async () => {
    const wanted = ['libc6', 'openssh-server', 'podman', 'systemd', 'zsh-common']
    const tree = new Map<string, TreeNode>([['/', directory()]])
    for (const { name, tree: files } of await given.inputs.packageTrees('rootfs')) {
      if (wanted.includes(name)) for (const [path, node] of files) tree.set(path, node)
    }
    for (const path of [...tree.keys()]) {
      for (let parent = path; parent !== '/'; ) {
        parent = parent.slice(0, parent.lastIndexOf('/')) || '/'
        if (!tree.has(parent)) tree.set(parent, directory())
      }
    }
    expect(tree.size).toBeGreaterThan(2000)
    await expectFaithful(tree)
  })
})

describe('writeSquashfs', () => {
  test('same tree, same bytes: with or without cached blocks, in any order, wherever contents are', async () => {
    const first = await write(awkward)
    const reversed = new Map([...awkward].reverse())
    const again = await write(reversed, { blockCacheDir: join(dir, 'other-blocks') })
    expect(again.summary.blocksFromCache).toBe(0)
    expect(again.sha256).toBe(first.sha256)

    const store = join(dir, 'store')
    const body = noise(MiB + 1, 'c')
    await writeFile(store, Buffer.concat([Buffer.from('before'), body, Buffer.from('after')]))
    const content: Content = {
      kind: 'range',
      path: store,
      offsetBytes: 6,
      sizeBytes: body.byteLength,
      sha256: createHash('sha256').update(body).digest('hex'),
    }
    const moved = new Map([...awkward, ['/above-a-block', file('', { content })]])
    const fresh = await write(moved, { blockCacheDir: join(dir, 'third-blocks') })
    expect(fresh.sha256).toBe(first.sha256)
  })

  test('equal contents are stored once', async () => {
    const body = noise(2 * MiB + 100, 'twice')
    const once = await write(treeOf({ '/a': file(body) }))
    const twice = await write(treeOf({ '/a': file(body), '/b': file(body) }))
    expect(twice.summary.sizeBytes - once.summary.sizeBytes).toBeLessThanOrEqual(4096)
  })

  test('a changed small file, even of another size, costs one or two blocks', async () => {
    const files = Object.fromEntries(
      Array.from({ length: 400 }, (_, i): [string, TreeNode] => [
        `/f${i}`,
        file(noise(20_000 + i * 7, `${i}`)),
      ]),
    )
    const before = await write(treeOf(files))
    expect(before.summary.blocksPacked).toBeGreaterThan(7)
    const after = await write(treeOf({ ...files, '/f123': file(noise(20_900, 'changed')) }))
    expect(after.summary.blocksPacked).toBeLessThanOrEqual(2)
    const added = await write(treeOf({ ...files, '/f123a': file(noise(3000, 'added')) }))
    expect(added.summary.blocksPacked).toBeLessThanOrEqual(2)
  })

  test('damaged blocks in the cache are made anew', async () => {
    const blockCacheDir = join(dir, 'damaged-blocks')
    const tree = treeOf({
      '/a': file(noise(MiB, 'a')),
      '/b': file(Buffer.alloc(5 * MiB, 'text ')),
      '/c': file('c'),
    })
    const good = await write(tree, { blockCacheDir })
    const [short, empty, ...flipped] = (await readdir(blockCacheDir)).map((name) => join(blockCacheDir, name))
    await truncate(short!, 40)
    await truncate(empty!, 0)
    for (const path of flipped) {
      const bytes = await readFile(path)
      bytes[bytes.byteLength - 1]! ^= 1
      await writeFile(path, bytes)
    }
    const healed = await write(tree, { blockCacheDir })
    expect(healed.summary).toMatchObject({ blocksFromCache: 0 })
    expect(healed.sha256).toBe(good.sha256)
  })

  test('aligned files begin at multiples of 4 KiB, so that a grown one shifts the others by whole blocks', async () => {
    const rest = noise(3 * MiB, 'rest')
    const options = { alignBytes: 4096, shareBelowBytes: 65536 }
    const a = await write(treeOf({ '/a': file(noise(70_000, 'a')), '/b': file(rest) }), options)
    const b = await write(treeOf({ '/a': file(noise(90_000, 'a2')), '/b': file(rest) }), options)
    const blocks = async (path: string) => {
      const bytes = await readFile(path)
      const count = bytes.byteLength / 4096
      return Array.from({ length: count }, (_, i) => bytes.toString('latin1', i * 4096, (i + 1) * 4096))
    }
    const before = new Set(await blocks(a.path))
    const missing = (await blocks(b.path)).filter((block) => !before.has(block))
    expect(missing.length).toBeLessThan(30)
  })

  test('bytes are accounted to who brought them', async () => {
    const { summary } = await write(
      treeOf({
        '/a': file(noise(MiB, 'a'), { origin: 'package a' }),
        '/b': file(noise(1000, 'b'), { origin: 'package b' }),
        '/c': file(noise(3000, 'c'), { origin: 'package c' }),
      }),
    )
    const bytes = Object.fromEntries(summary.bytesByOrigin)
    expect(bytes['package a']).toBe(MiB)
    expect(bytes['package c']! / bytes['package b']!).toBeCloseTo(3)
  })

  test('what squashfs cannot hold is refused', async () => {
    const acl = { 'system.posix_acl_access': Buffer.from('x') }
    await expect(write(treeOf({ '/a': file('a', { xattrs: acl }) }))).rejects.toThrow(
      '/a: squashfs has no place for the extended attribute system.posix_acl_access',
    )
    await expect(write(treeOf({ [`/${'n'.repeat(257)}`]: file('a') }))).rejects.toThrow('more than 256 bytes')
    await expect(write(treeOf({ '/missing/a': file('a') }))).rejects.toThrow(
      '/missing/a has no directory above it',
    )
  })
})
