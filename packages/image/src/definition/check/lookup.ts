import { posix } from 'node:path'
import type { Tree, TreeNode } from '../../tree/tree.ts'

/** Where a path leads when every link on the way is followed, as the kernel would. */
export type Found =
  | { readonly path: string; readonly node: TreeNode }
  /** It leads to a place that exists only on a running machine: /run, /proc, /data... */
  | { readonly path: string; readonly outside: true }

/** Filled while the machine runs; nothing can be said about what is there. */
const runtimeFolders = ['/dev', '/proc', '/run', '/sys', '/data', '/tmp', '/var/tmp']

const linksMax = 40

/** Follows links in every component. Undefined when there is nothing, or a loop. */
export function findPath(tree: Tree, path: string): Found | undefined {
  let pending = posix.normalize(path).split('/').filter(Boolean)
  let at = ''
  let links = 0
  while (pending.length > 0) {
    const [component, ...rest] = pending as [string, ...string[]]
    if (component === '..') {
      at = posix.dirname(at || '/').replace(/^\/$/, '')
      pending = rest
      continue
    }
    const next = `${at}/${component}`
    if (runtimeFolders.includes(next) && (rest.length > 0 || !tree.has(next)))
      return { path: posix.join(next, ...rest), outside: true }
    const node = tree.get(next)
    if (node === undefined) return undefined
    if (node.type === 'symlink') {
      if (++links > linksMax) return undefined
      const target = node.target.split('/').filter((part) => part !== '' && part !== '.')
      pending = [...target, ...rest]
      if (node.target.startsWith('/')) at = ''
      continue
    }
    at = next
    pending = rest
  }
  return { path: at || '/', node: tree.get(at || '/')! }
}

/** A file that can be executed, or that is not there before the machine runs. */
export function findProgram(tree: Tree, path: string): 'executable' | 'missing' | 'not executable' {
  const found = findPath(tree, path)
  if (found === undefined) return 'missing'
  if ('outside' in found) return 'executable'
  return found.node.type === 'file' && (found.node.mode & 0o111) !== 0 ? 'executable' : 'not executable'
}
