import { createHash, randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readFile, rename, stat, writeFile } from 'node:fs/promises'
import type { FileNode, Tree, TreeNode } from './tree.ts'

/** A file that a step made, as a node of a tree; owned by root. */
export async function fileNodeOf(path: string, options: { mode: number; origin: string }): Promise<FileNode> {
  const { size } = await stat(path)
  return {
    type: 'file',
    mode: options.mode,
    uid: 0,
    gid: 0,
    origin: options.origin,
    content: { kind: 'range', path, offsetBytes: 0, sizeBytes: size, sha256: await fileSha256(path) },
  }
}

/** A tree of just these nodes; folders above them are added when trees are composed. */
export function treeOf(nodes: Readonly<Record<string, TreeNode>>): Tree {
  return new Map(Object.entries(nodes))
}

/**
 * Hash of a step's result, which never changes under its name: kept beside it, so that a build that has nothing
 * to do does not read a hundred megabytes to find out.
 */
export async function fileSha256(path: string): Promise<string> {
  const notePath = `${path}.sha256`
  const note = await readFile(notePath, 'utf8').catch(() => undefined)
  if (note !== undefined && /^[0-9a-f]{64}$/.test(note)) return note
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 }))
    hash.update(chunk as Buffer)
  const digest = hash.digest('hex')
  // Each caller's own: the same file may be asked about twice at a time, in one process as well.
  const unfinished = `${notePath}.${randomBytes(6).toString('hex')}`
  await writeFile(unfinished, digest)
  await rename(unfinished, notePath)
  return digest
}
