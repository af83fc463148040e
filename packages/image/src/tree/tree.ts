/**
 * A file tree as a value: nothing here touches the disk. Packages and modules are merged into it, checks read
 * it, writers (squashfs, cpio, tar, vfat) turn it into bytes. Times are not part of it: every writer stamps
 * the one time of the build.
 */

/** Bytes in memory, or a range of a file in the content store that never changes under its name. */
export type Content =
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | {
      readonly kind: 'range'
      readonly path: string
      readonly offsetBytes: number
      readonly sizeBytes: number
      readonly sha256: string
    }

interface NodeBase {
  /** Permission bits including setuid, setgid and sticky: 0o0000 to 0o7777. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly xattrs?: Readonly<Record<string, Uint8Array>>
  /** Who put it there, for conflict messages: `package podman`, `module network`. */
  readonly origin: string
}

export interface DirectoryNode extends NodeBase {
  readonly type: 'directory'
}
export interface FileNode extends NodeBase {
  readonly type: 'file'
  readonly content: Content
}
export interface SymlinkNode extends NodeBase {
  readonly type: 'symlink'
  readonly target: string
}
export interface DeviceNode extends NodeBase {
  readonly type: 'char' | 'block'
  readonly major: number
  readonly minor: number
}
export interface FifoNode extends NodeBase {
  readonly type: 'fifo'
}

export type TreeNode = DirectoryNode | FileNode | SymlinkNode | DeviceNode | FifoNode

/** Absolute, normalised paths without a trailing slash; the root is `/`. Hard links are kept as equal content. */
export type Tree = ReadonlyMap<string, TreeNode>

export function contentSize(content: Content): number {
  return content.kind === 'bytes' ? content.bytes.byteLength : content.sizeBytes
}

/** Byte order of the UTF-8 path, the same on every machine and in every locale. */
export function comparePaths(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

export function sortedPaths(tree: Tree): string[] {
  return [...tree.keys()].sort(comparePaths)
}
