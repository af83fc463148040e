import type { Problem } from '../definition/problems.ts'
import { patternMatcher } from './patterns.ts'
import { contentSha256 } from './read-content.ts'
import { contentSize, type Tree, type TreeNode } from './tree.ts'

/** What one package, or one thing that we built, brings. Paths as packed. */
export interface PackageTree {
  readonly name: string
  readonly tree: Tree
}

/** What a pattern took away. */
export interface LeftOut {
  readonly files: number
  readonly bytes: number
}

export interface MergedPackages {
  readonly nodes: Map<string, TreeNode>
  /** Owner of each path that a module may replace, before `leaveOut`. Folders are nobody's. */
  readonly owners: ReadonlyMap<string, string>
  readonly leftOut: ReadonlyMap<string, LeftOut>
}

export interface MergeRules {
  readonly leaveOut: readonly string[]
  readonly keep: readonly string[]
}

/** Lays packages into one tree with /bin, /sbin and /lib inside /usr. Equal files may come from two packages. */
export function mergePackages(
  packages: readonly PackageTree[],
  rules: MergeRules,
  problems: Problem[],
): MergedPackages {
  const leaves = patternMatcher(rules.leaveOut)
  const keeps = patternMatcher(rules.keep)
  const leftOut = new Map(rules.leaveOut.map((pattern) => [pattern, { files: 0, bytes: 0 }]))
  const nodes = new Map<string, TreeNode>()
  const owners = new Map<string, string>()
  for (const { name, tree } of [...packages].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    for (const [packedPath, node] of tree) {
      const path = mergedUsrPath(packedPath)
      if (node.type !== 'directory') owners.set(path, name)
      const pattern = leaves(path)
      if (pattern !== undefined && keeps(path) === undefined) {
        const sum = leftOut.get(pattern)!
        if (node.type === 'file') {
          sum.files += 1
          sum.bytes += contentSize(node.content)
        }
        continue
      }
      const earlier = nodes.get(path)
      if (
        earlier === undefined ||
        (earlier.type === 'directory' && node.type === 'directory' && isPlain(earlier))
      )
        nodes.set(path, node)
      else if (!sameNode(earlier, node)) problems.push(conflict(path, earlier, node))
    }
  }
  return { nodes, owners, leftOut }
}

export function mergedUsrPath(path: string): string {
  return /^\/(bin|sbin|lib|lib64)\//.test(path) ? `/usr${path}` : path
}

/** A folder nobody made a special one. */
function isPlain(node: TreeNode): boolean {
  return node.mode === 0o755 && node.uid === 0 && node.gid === 0
}

function sameNode(a: TreeNode, b: TreeNode): boolean {
  if (a.type === 'directory' && b.type === 'directory') return isPlain(b) || sameOwnership(a, b)
  if (a.type === 'symlink' && b.type === 'symlink') return a.target === b.target
  if (a.type === 'file' && b.type === 'file')
    return sameOwnership(a, b) && contentSha256(a.content) === contentSha256(b.content)
  return false
}

function sameOwnership(a: TreeNode, b: TreeNode): boolean {
  return a.mode === b.mode && a.uid === b.uid && a.gid === b.gid
}

function conflict(path: string, first: TreeNode, second: TreeNode): Problem {
  const what = (node: TreeNode) => `${node.origin} (${node.type})`
  return {
    where: path,
    message: `${what(first)} and ${what(second)} bring different things`,
    hint: 'leave one of them out with a `leaveOut` pattern, or omit one package',
  }
}
