import { hash } from 'node:crypto'
import { contentSha256 } from '../tree/read-content.ts'
import { type Content, contentSize, sortedPaths, type Tree } from '../tree/tree.ts'

/** How file contents are laid out, before anything is read or compressed. */
export interface DataPlan {
  /** Every distinct content once, in the order its blocks are written. */
  readonly files: readonly PlannedFile[]
  /** By path; several paths may share one. */
  readonly fileAt: ReadonlyMap<string, PlannedFile>
  readonly fragments: readonly FragmentBlock[]
}

export interface PlannedFile {
  readonly sha256: string
  readonly content: Content
  readonly sizeBytes: number
  /** Plain sizes of its own blocks, all of the block size but perhaps the last. */
  readonly blockSizes: readonly number[]
  /** What is left after the blocks, in a block that it shares with others. */
  readonly tail: FragmentTail | undefined
}

export interface FragmentTail {
  readonly fragment: number
  readonly offsetBytes: number
}

export interface FragmentPiece {
  readonly content: Content
  readonly sha256: string
  readonly offsetBytes: number
  readonly sizeBytes: number
}

export interface FragmentBlock {
  readonly pieces: readonly FragmentPiece[]
  readonly sizeBytes: number
}

export interface PlanOptions {
  readonly blockBytes: number
  /** Contents of this size and more get blocks of their own, tail included; smaller ones share blocks. */
  readonly shareBelowBytes: number
}

export function planData(tree: Tree, options: PlanOptions): DataPlan {
  const firstPaths = new Map<string, string>()
  const keyAt = new Map<string, string>()
  const contents = new Map<string, { sha256: string; content: Content; sizeBytes: number }>()
  for (const path of sortedPaths(tree)) {
    const node = tree.get(path)!
    if (node.type !== 'file') continue
    const sha256 = contentSha256(node.content)
    keyAt.set(path, sha256)
    if (contents.has(sha256)) continue
    contents.set(sha256, { sha256, content: node.content, sizeBytes: contentSize(node.content) })
    firstPaths.set(sha256, path)
  }

  const small = [...contents.values()]
    .filter(({ sizeBytes }) => sizeBytes > 0 && sizeBytes < options.shareBelowBytes)
    .map((item) => ({ ...item, path: firstPaths.get(item.sha256)! }))
  if (options.shareBelowBytes > options.blockBytes) throw new RangeError('a shared file must fit a block')
  const { fragments, tails } = packFragments(small, options.blockBytes)

  const planned = new Map<string, PlannedFile>()
  for (const { sha256, content, sizeBytes } of contents.values()) {
    const tail = tails.get(sha256)
    const blockSizes = tail === undefined ? cutBlocks(sizeBytes, options.blockBytes) : []
    planned.set(sha256, { sha256, content, sizeBytes, blockSizes, tail })
  }
  const fileAt = new Map([...keyAt].map(([path, sha256]) => [path, planned.get(sha256)!]))
  return { files: [...planned.values()], fileAt, fragments }
}

function cutBlocks(sizeBytes: number, blockBytes: number): number[] {
  const sizes: number[] = []
  for (let rest = sizeBytes; rest > 0; rest -= blockBytes) sizes.push(Math.min(rest, blockBytes))
  return sizes
}

interface SmallFile {
  readonly sha256: string
  readonly content: Content
  readonly sizeBytes: number
  readonly path: string
}

/**
 * Fills shared blocks in order of path: other orders, by suffix or by kind, are within half a percent. A block ends
 * not when it is full but, within the last eighth of its room, before the file whose path has the smallest hash:
 * when a file grows or one is added, the next blocks end at the same files as before, and only one or two
 * blocks have new content.
 */
function packFragments(files: readonly SmallFile[], blockBytes: number) {
  const fragments: FragmentBlock[] = []
  const tails = new Map<string, FragmentTail>()
  let start = 0
  while (start < files.length) {
    const end = fragmentEnd(files, start, blockBytes)
    const pieces: FragmentPiece[] = []
    let offsetBytes = 0
    for (const { sha256, content, sizeBytes } of files.slice(start, end)) {
      tails.set(sha256, { fragment: fragments.length, offsetBytes })
      pieces.push({ content, sha256, offsetBytes: 0, sizeBytes })
      offsetBytes += sizeBytes
    }
    fragments.push({ pieces, sizeBytes: offsetBytes })
    start = end
  }
  return { fragments, tails }
}

function fragmentEnd(files: readonly SmallFile[], start: number, blockBytes: number): number {
  let filled = 0
  let best: { readonly end: number; readonly hash: string } | undefined
  for (let end = start; end < files.length; end += 1) {
    const { path, sizeBytes } = files[end]!
    if (end > start && filled >= blockBytes - blockBytes / 8) {
      const pathHash = hash('sha256', path)
      if (best === undefined || pathHash < best.hash) best = { end, hash: pathHash }
    }
    if (filled + sizeBytes > blockBytes) return best?.end ?? end
    filled += sizeBytes
  }
  return files.length
}
