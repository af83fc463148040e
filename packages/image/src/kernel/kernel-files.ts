import { UserError } from '../errors.ts'
import type { FileNode, Tree } from '../tree/tree.ts'
import { findModules, nearMisses } from './module-names.ts'

export interface KernelFiles {
  readonly release: string
  /** The uncompressed arm64 `Image`, as U-Boot's booti wants it. */
  readonly image: FileNode
  /** Its `CONFIG_` settings, one a line. */
  readonly config: FileNode
}

/** The kernel of a linux-image package's tree. */
export function kernelFiles(kernel: Tree, release?: string): KernelFiles {
  const found = findModules(kernel, release).release
  return {
    release: found,
    image: file(kernel, `/boot/vmlinuz-${found}`),
    config: file(kernel, `/boot/config-${found}`),
  }
}

/** Device trees by name as `rockchip/rk3328-rock64.dtb`. */
export function deviceTree(kernel: Tree, name: string, release?: string): FileNode {
  const folder = `/usr/lib/linux-image-${findModules(kernel, release).release}/`
  const node = kernel.get(folder + name)
  if (node?.type === 'file') return node
  const known = [...kernel.keys()]
    .filter((path) => path.startsWith(folder))
    .map((path) => path.slice(folder.length))
  const meant = nearMisses(name, known)
  throw new UserError(`the kernel package has no device tree ${name}`, {
    hint: meant.length > 0 ? `did you mean ${meant.join(', ')}?` : `they lie below ${folder}`,
    exitCode: 2,
  })
}

function file(kernel: Tree, path: string): FileNode {
  const node = kernel.get(path)
  if (node?.type !== 'file') throw new UserError(`the kernel package has no ${path}`)
  return node
}
