import { ContentReader } from '../tree/read-content.ts'
import { contentSize, sortedPaths, type Tree, type TreeNode } from '../tree/tree.ts'

/**
 * Writes a tree as the archive that the kernel unpacks as its first root: cpio in the "newc" format, see the
 * kernel's Documentation/driver-api/early-userspace/buffer-format.rst. Same tree, same bytes:
 *
 * - entries in byte order of their paths, so every folder comes before what is in it (the kernel makes none);
 * - names without the leading slash; the root folder itself is not an entry, its mode is the kernel's;
 * - inode numbers count from 1 in that order, one link each (the tree has no hard links), device 0:0;
 * - one modification time for all;
 * - names up to 4095 bytes, files below 4 GiB: the fields hold eight hexadecimal digits;
 * - extended attributes have no place in the format: a tree with any is refused.
 */
export async function* writeCpio(tree: Tree, options: { mtime: number }): AsyncGenerator<Uint8Array> {
  await using reader = new ContentReader()
  let inode = 0
  for (const path of sortedPaths(tree)) {
    if (path === '/') continue
    const node = tree.get(path)!
    if (node.xattrs !== undefined && Object.keys(node.xattrs).length > 0) {
      throw new Error(`${path} (${node.origin}) has extended attributes, which a cpio archive cannot hold`)
    }
    const body = await bodyOf(node, reader)
    inode++
    yield header({ path, node, inode, mtime: options.mtime, sizeBytes: body.byteLength })
    if (body.byteLength > 0) yield padded(body)
  }
  yield header({ path: '/TRAILER!!!', node: trailer, inode: 0, mtime: 0, sizeBytes: 0 })
}

const typeBits = {
  directory: 0o040000,
  file: 0o100000,
  symlink: 0o120000,
  char: 0o020000,
  block: 0o060000,
  fifo: 0o010000,
}
const trailer: TreeNode = {
  type: 'file',
  mode: 0,
  uid: 0,
  gid: 0,
  origin: 'cpio',
  content: { kind: 'bytes', bytes: new Uint8Array() },
}

async function bodyOf(node: TreeNode, reader: ContentReader): Promise<Uint8Array> {
  if (node.type === 'symlink') return Buffer.from(node.target)
  if (node.type !== 'file') return new Uint8Array()
  if (contentSize(node.content) > 0xffffffff)
    throw new Error('a file of 4 GiB or more does not fit into a cpio archive')
  return reader.read(node.content)
}

function header(entry: {
  path: string
  node: TreeNode
  inode: number
  mtime: number
  sizeBytes: number
}): Uint8Array {
  const { node } = entry
  const isTrailer = node === trailer
  const name = Buffer.from(`${entry.path.slice(1)}\0`)
  if (name.byteLength > 4096) throw new Error(`${entry.path} is too long a name for the kernel`)
  const device = node.type === 'char' || node.type === 'block' ? node : { major: 0, minor: 0 }
  const fields = [
    entry.inode,
    isTrailer ? 0 : typeBits[node.type] | node.mode,
    node.uid,
    node.gid,
    1,
    entry.mtime,
    entry.sizeBytes,
    0,
    0,
    device.major,
    device.minor,
    name.byteLength,
    0,
  ]
  const text = `070701${fields.map((field) => field.toString(16).toUpperCase().padStart(8, '0')).join('')}`
  return padded(Buffer.concat([Buffer.from(text), name]))
}

/** To a multiple of 4 bytes; header and name are padded together. */
function padded(bytes: Uint8Array): Uint8Array {
  const rest = bytes.byteLength % 4
  return rest === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(4 - rest)])
}
