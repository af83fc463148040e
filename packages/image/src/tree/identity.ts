import { createHash } from 'node:crypto'
import { contentSha256 } from './read-content.ts'
import { sortedPaths, type Tree, type TreeNode } from './tree.ts'

/**
 * A hash over all that a writer sees of a tree: paths, types, modes, owners, extended attributes, contents by
 * their hashes. Where contents lie in the store and who put them there do not matter.
 */
export function treeIdentity(tree: Tree): string {
  const hash = createHash('sha256')
  for (const path of sortedPaths(tree)) hash.update(nodeText(path, tree.get(path)!))
  return hash.digest('hex')
}

/** JSON, so that no path or target can be mistaken for another field. */
function nodeText(path: string, node: TreeNode): string {
  const fields: unknown[] = [path, node.type, node.mode, node.uid, node.gid]
  if (node.type === 'file') fields.push(contentSha256(node.content))
  else if (node.type === 'symlink') fields.push(node.target)
  else if (node.type === 'char' || node.type === 'block') fields.push(node.major, node.minor)
  for (const name of Object.keys(node.xattrs ?? {}).sort()) {
    fields.push(name, Buffer.from(node.xattrs![name]!).toString('base64'))
  }
  return `${JSON.stringify(fields)}\n`
}
