import { lstat, mkdir, readdir, readFile, readlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { zstdDecompressSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openTestInputs, type TestInputs } from '../kernel/test-inputs.ts'
import type { Tree, TreeNode } from '../tree/tree.ts'
import { buildInitrd } from './build-initrd.ts'
import { writeCpio } from './cpio.ts'

const mtime = 1_700_000_000
const owned = { uid: 0, gid: 0, origin: 'test' }
const file = (text: string, mode = 0o644): TreeNode => ({
  ...owned,
  type: 'file',
  mode,
  content: { kind: 'bytes', bytes: Buffer.from(text) },
})
const directory = (mode = 0o755): TreeNode => ({ ...owned, type: 'directory', mode })

const tree: Tree = new Map<string, TreeNode>([
  ['/', directory()],
  ['/etc', directory()],
  ['/etc/a', file('')],
  ['/etc/b', file('1')],
  ['/etc/bc', file('12')],
  ['/etc/bcd', file('123', 0o600)],
  ['/etc/bcde', file('1234', 0o4755)],
  ['/etc-behind', file('sorts between /etc and /etc/a by bytes\n')],
  ['/sticky', directory(0o1777)],
  ['/umläut und Leerzeichen', file('x'.repeat(70_000))],
  ['/link', { ...owned, type: 'symlink', mode: 0o777, target: 'etc/b' }],
  ['/dangling', { ...owned, type: 'symlink', mode: 0o777, target: '/nowhere/at all' }],
])

const special: Tree = new Map<string, TreeNode>([
  ['/dev', directory()],
  ['/dev/console', { ...owned, type: 'char', mode: 0o600, major: 5, minor: 1 }],
  ['/dev/vda', { ...owned, type: 'block', mode: 0o660, gid: 6, major: 254, minor: 300 }],
  ['/dev/fifo', { ...owned, type: 'fifo', mode: 0o640, uid: 7 }],
])

describe('writeCpio', () => {
  let given: TestInputs
  beforeAll(async () => {
    given = await openTestInputs()
  })
  afterAll(() => given[Symbol.asyncDispose]())

  const cpio = async (archive: Uint8Array, argv: readonly string[], folder: string) => {
    const dir = join(given.dir, folder)
    await mkdir(dir, { recursive: true })
    await writeFile(join(given.dir, 'archive'), archive)
    return given.tools.run({
      argv: ['/usr/bin/cpio', ...argv, '-F', '/in/archive'],
      purpose: 'the test',
      mounts: [
        { hostPath: given.dir, guestPath: '/in', writable: false },
        { hostPath: dir, guestPath: '/out', writable: true },
      ],
      cwd: '/out',
      env: { TZ: 'UTC' },
      timeoutMs: 30_000,
    })
  }

  test('cpio unpacks the very same tree', async () => {
    await cpio(await bytesOf(tree), ['-idm', '--no-preserve-owner'], 'out')
    const out = join(given.dir, 'out')
    const names = (await readdir(out, { recursive: true })).map((name) => `/${name}`).sort()
    expect(names).toEqual([...tree.keys()].filter((path) => path !== '/').sort())
    for (const [path, node] of tree) {
      if (path === '/') continue
      const stat = await lstat(join(out, path))
      if (node.type === 'symlink') expect(await readlink(join(out, path))).toBe(node.target)
      else expect([path, stat.mode & 0o7777]).toEqual([path, node.mode])
      if (node.type !== 'file' || node.content.kind !== 'bytes') continue
      expect(Buffer.compare(await readFile(join(out, path)), node.content.bytes)).toBe(0)
      expect(stat.mtimeMs).toBe(mtime * 1000)
    }
  })

  test('cpio lists devices with their numbers and owners', async () => {
    const { stdout } = await cpio(await bytesOf(special), ['-itvn'], 'list')
    expect(stdout.replaceAll(/ +/g, ' ').trim().split('\n')).toEqual([
      'drwxr-xr-x 1 0 0 0 Nov 14 2023 dev',
      'crw------- 1 0 0 5, 1 Nov 14 2023 dev/console',
      'prw-r----- 1 7 0 0 Nov 14 2023 dev/fifo',
      'brw-rw---- 1 0 6 254, 300 Nov 14 2023 dev/vda',
    ])
  })

  test('the order in which a tree was made changes nothing', async () => {
    const reversed = new Map([...tree].reverse())
    expect(Buffer.compare(await bytesOf(reversed), await bytesOf(tree))).toBe(0)
  })

  test('extended attributes are refused, since they would be lost', async () => {
    const node = { ...file(''), xattrs: { 'security.capability': new Uint8Array(20) } }
    await expect(
      bytesOf(
        new Map([
          ['/usr', directory()],
          ['/usr/ping', node],
        ]),
      ),
    ).rejects.toThrow('/usr/ping (test) has extended attributes')
  })

  test('the initrd is that archive in a frame that the kernel can read', async () => {
    const { path } = await buildInitrd({ tree, sourceDateEpoch: mtime }, given)
    const packed = await readFile(path)
    expect(packed.readUInt32LE(0)).toBe(0xfd2fb528)
    // Frame header descriptor, then the window: exponent in the upper five bits, 2^10 and up.
    expect(packed[4]! & 0x20, 'a single-segment frame would need a buffer for all of it').toBe(0)
    expect(10 + (packed[5]! >> 3)).toBeLessThanOrEqual(23)
    expect(Buffer.compare(zstdDecompressSync(packed), await bytesOf(tree))).toBe(0)
  })
})

async function bytesOf(tree: Tree): Promise<Buffer> {
  const chunks = []
  for await (const chunk of writeCpio(tree, { mtime })) chunks.push(chunk)
  return Buffer.concat(chunks)
}
