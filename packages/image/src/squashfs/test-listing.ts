import { createHash } from 'node:crypto'
import { mkdir, readFile, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { ToolTree } from '../tools/tools.ts'
import { ContentReader } from '../tree/read-content.ts'
import type { Tree, TreeNode } from '../tree/tree.ts'

/** For tests: a tree, or what an image holds of it, as one comparable line per path. */
export type Listing = Readonly<Record<string, string>>

/** What `unsquashfs` finds in an image, all of it, read without any code of ours. */
export async function listImage(imagePath: string, tools: ToolTree): Promise<Listing> {
  const outDir = `${imagePath}.listing`
  await mkdir(outDir)
  try {
    await tools.run({
      argv: [
        '/usr/bin/unsquashfs',
        '-quiet',
        '-no-progress',
        '-pf',
        '/out/listing',
        `/image/${imagePath.split('/').at(-1)}`,
      ],
      purpose: 'to list an image',
      mounts: [
        { hostPath: dirname(imagePath), guestPath: '/image', writable: false },
        { hostPath: outDir, guestPath: '/out', writable: true },
      ],
      timeoutMs: 120_000,
    })
    return parsePseudoFile(await readFile(join(outDir, 'listing')))
  } finally {
    await rm(outDir, { recursive: true, force: true })
  }
}

const dataMark = '#\n# START OF DATA - DO NOT MODIFY\n#\n'

function parsePseudoFile(bytes: Buffer): Listing {
  const mark = bytes.indexOf(dataMark)
  const text = bytes.toString('utf8', 0, mark < 0 ? bytes.byteLength : mark)
  const data = bytes.subarray(mark + dataMark.length)
  const lines: Record<string, string> = {}
  for (const line of text.split('\n')) {
    const match = /^((?:[^\\ ]|\\.)+) ([A-Za-z]) (.*)$/s.exec(line)
    if (match === null) continue
    const name = match[1]!.replaceAll(/\\(.)/g, '$1')
    const path = name === '/' ? '/' : `/${name}`
    if (match[2] === 'x') {
      const [, xattr, value] = /^([^=]+)=(.*)$/s.exec(match[3]!)!
      lines[path] += ` ${xattr}=${decodeValue(value!)}`
      continue
    }
    const [time, mode, uid, gid, ...rest] = match[3]!.split(' ')
    const common = `${mode} ${uid}:${gid} @${time}`
    lines[path] = `${describe(match[2]!, rest, data)} ${common}`
  }
  return lines
}

function describe(type: string, rest: readonly string[], data: Buffer): string {
  if (type === 'D') return 'directory'
  if (type === 'S') return `symlink ${rest.join(' ')}`
  if (type === 'I') return 'fifo'
  if (type === 'C' || type === 'B') return `${type === 'C' ? 'char' : 'block'} ${rest[0]}:${rest[1]}`
  if (type !== 'R') throw new Error(`unsquashfs lists the type ${type}`)
  const [size, offset] = rest.map(Number)
  return `file ${size} ${sha256(data.subarray(offset!, offset! + size!))}`
}

function decodeValue(text: string): string {
  if (!text.startsWith('0t')) return Buffer.from(text).toString('hex')
  const plain = text
    .slice(2)
    .replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
  return Buffer.from(plain, 'latin1').toString('hex')
}

/** What an image of `tree` must hold. */
export async function listTree(tree: Tree, timeSeconds: number): Promise<Listing> {
  await using reader = new ContentReader()
  const lines: Record<string, string> = {}
  for (const [path, node] of tree) {
    const xattrs = Object.keys(node.xattrs ?? {})
      .sort()
      .map((name) => ` ${name}=${Buffer.from(node.xattrs![name]!).toString('hex')}`)
    const common = `${node.mode.toString(8)} ${node.uid}:${node.gid} @${timeSeconds}${xattrs.join('')}`
    lines[path] = `${await describeNode(node, reader)} ${common}`
  }
  return lines
}

async function describeNode(node: TreeNode, reader: ContentReader): Promise<string> {
  if (node.type === 'symlink') return `symlink ${node.target}`
  if (node.type === 'char' || node.type === 'block') return `${node.type} ${node.major}:${node.minor}`
  if (node.type !== 'file') return node.type
  const bytes = await reader.read(node.content)
  return `file ${bytes.byteLength} ${sha256(bytes)}`
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex').slice(0, 16)
}
