import { lstat, mkdir, readdir, readFile, readlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openTestInputs, scratchDir } from '../tools/test-inputs.ts'
import type { ToolTree } from '../tools/tools.ts'
import { nodeOf } from '../tree/test-trees.ts'
import type { Tree, TreeNode } from '../tree/tree.ts'
import { TarReader } from './tar.ts'
import { writeTar } from './write-tar.ts'

const mtime = 1_700_000_000
const owned = { uid: 0, gid: 0, origin: 'test' }
const deep = `/${'folder/'.repeat(20)}`

const tree: Tree = new Map<string, TreeNode>([
  ['/', nodeOf({ folder: 0o755 })],
  ['/etc', nodeOf({ folder: 0o755 })],
  ['/etc/empty', nodeOf('')],
  ['/etc/block', nodeOf('x'.repeat(512))],
  ['/etc/more', nodeOf({ body: 'x'.repeat(70_000), mode: 0o600 })],
  ['/etc-behind', nodeOf('by bytes it comes between /etc and what is in it\n')],
  ['/sticky', nodeOf({ folder: 0o1777 })],
  ['/umläut und Leerzeichen', nodeOf('ä')],
  ...Array.from({ length: 20 }, (_, index): [string, TreeNode] => [
    deep.slice(0, 7 * (index + 1)),
    nodeOf({ folder: 0o755 }),
  ]),
  [`${deep}${'f'.repeat(200)}`, nodeOf('far down')],
  // Exactly what fits, and one byte more.
  [`/${'n'.repeat(100)}`, nodeOf('100')],
  [`/${'n'.repeat(101)}`, nodeOf('101')],
  ['/link', nodeOf({ link: 'etc/more' })],
  ['/long-link', nodeOf({ link: `/nowhere/${'l'.repeat(150)}` })],
])

const special: Tree = new Map<string, TreeNode>([
  ['/console', { ...owned, type: 'char', mode: 0o600, major: 5, minor: 1 }],
  ['/fifo', { ...owned, type: 'fifo', mode: 0o640, uid: 7, gid: 1_000_000 }],
])

describe('writeTar', () => {
  let tools: ToolTree
  let scratch: Awaited<ReturnType<typeof scratchDir>>
  beforeAll(async () => {
    tools = await (await openTestInputs()).toolTree('tools')
    scratch = await scratchDir()
  })
  afterAll(() => scratch[Symbol.asyncDispose]())

  async function tar(archive: Uint8Array, argv: readonly string[], folder: string) {
    const out = join(scratch.path, folder)
    await mkdir(out)
    await writeFile(join(scratch.path, 'archive'), archive)
    const { stdout } = await tools.run({
      argv: ['/usr/bin/tar', ...argv, '-f', '/in/archive'],
      purpose: 'the test',
      mounts: [
        { hostPath: scratch.path, guestPath: '/in', writable: false },
        { hostPath: out, guestPath: '/out', writable: true },
      ],
      cwd: '/out',
      env: { TZ: 'UTC', LC_ALL: 'C' },
      timeoutMs: 30_000,
    })
    return { out, stdout }
  }

  test('tar unpacks the very same tree', async () => {
    const { out } = await tar(await bytesOf(tree), ['-xp', '--no-same-owner'], 'out')
    const names = (await readdir(out, { recursive: true })).map((name) => `/${name}`).sort()
    expect(names).toEqual([...tree.keys()].filter((path) => path !== '/').sort())
    for (const [path, node] of tree) {
      if (path === '/') continue
      const stat = await lstat(join(out, path))
      expect([path, stat.mtimeMs]).toEqual([path, mtime * 1000])
      if (node.type === 'symlink') expect(await readlink(join(out, path))).toBe(node.target)
      else expect([path, stat.mode & 0o7777]).toEqual([path, node.mode])
      if (node.type !== 'file' || node.content.kind !== 'bytes') continue
      expect(Buffer.compare(await readFile(join(out, path)), node.content.bytes)).toBe(0)
    }
  })

  test('tar lists devices with their numbers, and owners', async () => {
    const { stdout } = await tar(await bytesOf(special), ['-tv', '--numeric-owner'], 'list')
    expect(stdout.replaceAll(/ +/g, ' ').trim().split('\n')).toEqual([
      'crw------- 0/0 5,1 2023-11-14 22:13 console',
      'prw-r----- 7/1000000 0 2023-11-14 22:13 fifo',
    ])
  })

  test('our own reader sees it the same way', async () => {
    const paths: string[] = []
    const reader = new TarReader({ entry: ({ path }) => void paths.push(path), data() {}, fileEnd() {} })
    reader.push(await bytesOf(tree))
    reader.end()
    expect(paths.map((path) => `/${path.replace(/\/$/, '')}`).sort()).toEqual(
      [...tree.keys()].filter((path) => path !== '/').sort(),
    )
  })

  test('the order in which a tree was made changes nothing', async () => {
    expect(Buffer.compare(await bytesOf(new Map([...tree].reverse())), await bytesOf(tree))).toBe(0)
  })

  test('what would be lost is refused', async () => {
    const node = { ...nodeOf(''), xattrs: { 'security.capability': new Uint8Array(20) } }
    await expect(bytesOf(new Map([['/ping', node]]))).rejects.toThrow('/ping (test) has extended attributes')
    const owner = nodeOf({ uid: 8 ** 7 })
    await expect(bytesOf(new Map([['/far', owner]]))).rejects.toThrow('does not fit into the header')
  })
})

async function bytesOf(tree: Tree): Promise<Buffer> {
  const chunks = []
  for await (const chunk of writeTar(tree, { mtime })) chunks.push(chunk)
  return Buffer.concat(chunks)
}
