/**
 * Reads small files from an f2fs image without mounting it, as its last checkpoint has them. Names and numbers come from
 * f2fs-tools; what is behind an inode is read here: `dump.f2fs` would be a process and a question for each file.
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { type FileHandle, open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Programs } from '@atomixos/machine'

const blockBytes = 4096
/** In an inode's block, `struct f2fs_inode`: include/linux/f2fs_fs.h of the kernel. */
const inode = { mode: 0, inline: 3, size: 16, addresses: 360 } as const
const inlineFlags = { data: 0x02, extraAttributes: 0x20 } as const
/** Addresses in an inode at the least: without what attributes take. */
const directMax = 800

/** Inode numbers by path, `config/config.toml`, in the words of `fsck.f2fs -t`. */
export function parseTree(output: string): ReadonlyMap<string, number> {
  const found = new Map<string, number>()
  const folders: string[] = []
  for (const line of output.split('\n')) {
    const [, indent, name, ino] = /^((?:[| ] {3})*)[|`]-- (.*) <ino = 0x([0-9a-f]+)>/.exec(line) ?? []
    if (indent === undefined || name === undefined || ino === undefined) continue
    folders.length = indent.length / 4
    folders.push(name)
    found.set(folders.join('/'), Number.parseInt(ino, 16))
  }
  return found
}

export interface FoundFile {
  readonly sha256: string
  /** Of files up to 4 KiB. */
  readonly text: string | undefined
}

/**
 * The regular files among these, by path.
 *
 * @param programs Of the tree that has f2fs-tools.
 * @param scratchDir Where `dump.f2fs` leaves what it says.
 */
export async function readFiles(
  programs: Programs,
  path: string,
  tree: ReadonlyMap<string, number>,
  scratchDir: string,
): Promise<Map<string, FoundFile>> {
  const files = new Map<string, FoundFile>()
  if (tree.size === 0) return files
  const blocks = await nodeBlocks(programs, path, [...tree.values()], scratchDir)
  const image = await open(path, 'r')
  try {
    for (const [name, ino] of tree) {
      const block = blocks.get(ino)
      if (block === undefined) throw new Error(`${name} has no inode ${ino}`)
      const bytes = await readFileAt(image, block)
      if (bytes === undefined) continue
      const sha256 = createHash('sha256').update(bytes).digest('hex')
      files.set(name, { sha256, text: bytes.length <= blockBytes ? bytes.toString('utf8') : undefined })
    }
  } finally {
    await image.close()
  }
  return files
}

/** Where the nodes of these numbers are, in blocks. */
async function nodeBlocks(
  programs: Programs,
  path: string,
  numbers: readonly number[],
  scratchDir: string,
): Promise<Map<number, number>> {
  const [program, ...argv] = programs.argv('dump.f2fs')
  const range = `${Math.min(...numbers)}~${Math.max(...numbers) + 1}`
  await promisify(execFile)(program!, [...argv, '-n', range, path], {
    ...{ cwd: scratchDir, timeout: 60_000, maxBuffer: 16 * 1024 * 1024, env: { ...programs.env } },
  })
  const found = new Map<number, number>()
  for (const line of (await readFile(join(scratchDir, 'dump_nat'), 'utf8')).split('\n')) {
    const [, nid, block] = /^nid:\s*(\d+)\s.*blkaddr:\s*(\d+)/.exec(line) ?? []
    if (nid !== undefined) found.set(Number(nid), Number(block))
  }
  return found
}

/** undefined: no regular file. */
async function readFileAt(image: FileHandle, block: number): Promise<Buffer | undefined> {
  const node = await readBlock(image, block)
  if ((node.readUInt16LE(inode.mode) & 0o170000) !== 0o100000) return undefined
  const size = Number(node.readBigUInt64LE(inode.size))
  const flags = node[inode.inline]!
  const extra = flags & inlineFlags.extraAttributes ? node.readUInt16LE(inode.addresses) : 0
  const start = inode.addresses + extra
  // The first address of inline data is kept free.
  if (flags & inlineFlags.data) return Buffer.from(node.subarray(start + 4, start + 4 + size))
  const count = Math.ceil(size / blockBytes)
  if (count > directMax) throw new Error(`a file of ${size} bytes is larger than what is read here`)
  const parts: Buffer[] = []
  for (let index = 0; index < count; index++) {
    const address = node.readUInt32LE(start + index * 4)
    const hole = address === 0 || address === 0xffffffff
    parts.push(hole ? Buffer.alloc(blockBytes) : await readBlock(image, address))
  }
  return Buffer.concat(parts).subarray(0, size)
}

async function readBlock(image: FileHandle, block: number): Promise<Buffer> {
  const bytes = Buffer.alloc(blockBytes)
  await image.read(bytes, 0, blockBytes, block * blockBytes)
  return bytes
}
