import { posix } from 'node:path'
import { UserError } from '../errors.ts'
import { sortedPaths, type Tree, type TreeNode } from '../tree/tree.ts'
import { type DirectoryEntry, directoryListing } from './directories.ts'
import { inodeTypes, nameBytesMax } from './format.ts'
import { directoryInode, type FileInode, fileInode, type InodeCommon, specialInode } from './inodes.ts'
import { type MetadataPosition, MetadataTable, metadataReference } from './metadata.ts'
import { IdTable, XattrTable } from './tables.ts'

export interface InodeTables {
  readonly inodes: Uint8Array
  readonly directories: Uint8Array
  /** One reference per inode number, from 1 on: what makes the image exportable over NFS. */
  readonly exports: Uint8Array
  readonly inodeCount: number
  readonly rootReference: bigint
  readonly ids: IdTable
  readonly xattrs: XattrTable
}

export interface InodeTableOptions {
  readonly sourceDateEpoch: number
  readonly fileAt: (path: string) => FileInode
  readonly compress: (bytes: Uint8Array) => Uint8Array
}

/** Inodes and listings of the whole tree: every directory after all that it holds, since it refers to them. */
export function buildInodeTables(tree: Tree, options: InodeTableOptions): InodeTables {
  const children = childrenByDirectory(tree)
  const numbers = inodeNumbers(tree, children)
  const inodeCount = numbers.size
  const exports = Buffer.alloc(8 * inodeCount)
  const inodes = new MetadataTable(options.compress)
  const directories = new MetadataTable(options.compress)
  const ids = new IdTable()
  const xattrs = new XattrTable()

  const common = (path: string, node: TreeNode): InodeCommon => ({
    mode: node.mode,
    uidIndex: ids.index(node.uid),
    gidIndex: ids.index(node.gid),
    timeSeconds: options.sourceDateEpoch,
    number: numbers.get(path)!,
    xattrIndex: xattrs.index(path, node.xattrs),
  })
  const append = (path: string, inode: Uint8Array): MetadataPosition => {
    const position = inodes.position
    exports.writeBigUInt64LE(metadataReference(position), 8 * (numbers.get(path)! - 1))
    inodes.append(inode)
    return position
  }

  const writeDirectory = (path: string, parentNumber: number): MetadataPosition => {
    const paths = children.get(path) ?? []
    const positions = new Map<string, MetadataPosition>()
    let subdirectories = 0
    for (const child of paths) {
      if (tree.get(child)!.type !== 'directory') continue
      subdirectories += 1
      positions.set(child, writeDirectory(child, numbers.get(path)!))
    }
    // A directory's files beside each other, so that few headers are needed in its listing.
    for (const child of paths) {
      const node = tree.get(child)!
      if (node.type === 'directory') continue
      const inode =
        node.type === 'file'
          ? fileInode(common(child, node), options.fileAt(child))
          : specialInode(common(child, node), node)
      positions.set(child, append(child, inode))
    }
    const entries = paths.map(
      (child): DirectoryEntry => ({
        name: posix.basename(child),
        inode: positions.get(child)!,
        inodeNumber: numbers.get(child)!,
        type: inodeTypes[tree.get(child)!.type],
      }),
    )
    const listing = directoryListing(entries)
    const listingPosition = directories.position
    directories.append(listing)
    const inode = directoryInode(common(path, tree.get(path)!), {
      listing: listingPosition,
      listingBytes: listing.byteLength,
      subdirectories,
      parentNumber,
    })
    return append(path, inode)
  }
  // The root has no parent in the image; by convention it names a number that no inode has.
  const rootReference = metadataReference(writeDirectory('/', inodeCount + 1))
  return {
    inodes: inodes.finish().bytes,
    directories: directories.finish().bytes,
    exports,
    inodeCount,
    rootReference,
    ids,
    xattrs,
  }
}

/** Sorted by the bytes of their names, as squashfs wants them. */
function childrenByDirectory(tree: Tree): Map<string, string[]> {
  if (tree.get('/')?.type !== 'directory') throw new Error('a tree needs a root directory "/"')
  const children = new Map<string, string[]>()
  for (const path of sortedPaths(tree)) {
    if (path === '/') continue
    const parent = posix.dirname(path)
    if (tree.get(parent)?.type !== 'directory')
      throw new Error(`${path} has no directory above it in the tree`)
    if (Buffer.byteLength(posix.basename(path)) > nameBytesMax) {
      throw new UserError(`${path} has a name of more than ${nameBytesMax} bytes`)
    }
    const siblings = children.get(parent)
    if (siblings === undefined) children.set(parent, [path])
    else siblings.push(path)
  }
  return children
}

/** All children of a directory get numbers in a row: listings store small differences only. */
function inodeNumbers(tree: Tree, children: ReadonlyMap<string, readonly string[]>): Map<string, number> {
  const numbers = new Map([['/', 1]])
  const visit = (directory: string) => {
    const paths = children.get(directory) ?? []
    for (const path of paths) numbers.set(path, numbers.size + 1)
    for (const path of paths) if (tree.get(path)!.type === 'directory') visit(path)
  }
  visit('/')
  return numbers
}
