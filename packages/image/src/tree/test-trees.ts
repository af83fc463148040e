import type { PackageTree } from './merge-packages.ts'
import type { TreeNode } from './tree.ts'

type Shape =
  | string
  | Uint8Array
  | {
      readonly body?: string | Uint8Array
      readonly mode?: number
      readonly uid?: number
      readonly gid?: number
    }
  | { readonly link: string }
  | { readonly folder: number }

/** For tests: a package from paths. A text is a file; `{ link }` a symlink; `{ folder: mode }` a directory. */
export function packageOf(name: string, paths: Readonly<Record<string, Shape>>): PackageTree {
  const tree = new Map(Object.entries(paths).map(([path, shape]) => [path, nodeOf(shape, `package ${name}`)]))
  return { name, tree }
}

export function nodeOf(shape: Shape, origin = 'test'): TreeNode {
  const owned = { uid: 0, gid: 0, origin }
  if (typeof shape === 'string' || shape instanceof Uint8Array) return nodeOf({ body: shape }, origin)
  if ('link' in shape) return { ...owned, type: 'symlink', mode: 0o777, target: shape.link }
  if ('folder' in shape) return { ...owned, type: 'directory', mode: shape.folder }
  const { body = '', mode = 0o644, uid = 0, gid = 0 } = shape
  const bytes = typeof body === 'string' ? Buffer.from(body) : body
  return { type: 'file', mode, uid, gid, origin, content: { kind: 'bytes', bytes } }
}
