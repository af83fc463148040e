import { ContentReader } from '../tree/read-content.ts'
import { comparePaths, contentSize, type Tree, type TreeNode } from '../tree/tree.ts'

/**
 * Writes a tree as a tar archive in the format "pax" (POSIX.1-2001), that every tar and podman read. Same tree, same bytes:
 *
 * - a folder, then all that is in it, by name: tar can finish with a folder when the next thing is outside of it;
 * - names without the leading slash; the root folder itself is no entry;
 * - one modification time for all, owners by number only;
 * - names and targets above 100 bytes in a record of their own;
 * - files below 8 GiB and no extended attributes: a tree with others is refused.
 */
export async function* writeTar(tree: Tree, options: { readonly mtime: number }): AsyncGenerator<Uint8Array> {
  await using reader = new ContentReader()
  for (const path of foldersTogether(tree)) {
    if (path === '/') continue
    const node = tree.get(path)!
    if (node.xattrs !== undefined && Object.keys(node.xattrs).length > 0) {
      throw new Error(`${path} (${node.origin}) has extended attributes, which would be lost`)
    }
    yield headersOf(path, node, options.mtime)
    if (node.type !== 'file') continue
    const sizeBytes = contentSize(node.content)
    for (let at = 0; at < sizeBytes; at += pieceBytes) yield reader.read(node.content, at, pieceBytes)
    yield Buffer.alloc(paddingOf(sizeBytes))
  }
  yield Buffer.alloc(2 * blockBytes)
}

/** No name holds a zero byte, and no other byte comes before it. */
function foldersTogether(tree: Tree): string[] {
  const keyOf = (path: string) => path.replaceAll('/', '\0')
  return [...tree.keys()].sort((a, b) => comparePaths(keyOf(a), keyOf(b)))
}

const blockBytes = 512
const pieceBytes = 1 << 20
const nameBytesMax = 100
const typeFlags = { file: '0', symlink: '2', char: '3', block: '4', directory: '5', fifo: '6' }

function headersOf(path: string, node: TreeNode, mtime: number): Uint8Array {
  const name = Buffer.from(`${path.slice(1)}${node.type === 'directory' ? '/' : ''}`)
  const target = Buffer.from(node.type === 'symlink' ? node.target : '')
  const records = [
    ...(name.length > nameBytesMax ? [record('path', name)] : []),
    ...(target.length > nameBytesMax ? [record('linkpath', target)] : []),
  ]
  const sizeBytes = node.type === 'file' ? contentSize(node.content) : 0
  const header = headerOf({ name, target, typeFlag: typeFlags[node.type], node, sizeBytes, mtime })
  if (records.length === 0) return header
  const body = Buffer.concat(records)
  const plain = { mode: 0o644, uid: 0, gid: 0 }
  return Buffer.concat([
    headerOf({ name, target: Buffer.of(), typeFlag: 'x', node: plain, sizeBytes: body.length, mtime }),
    body,
    Buffer.alloc(paddingOf(body.length)),
    header,
  ])
}

/** The fields of ustar, which "pax" shares. */
function headerOf(entry: {
  readonly name: Uint8Array
  readonly target: Uint8Array
  readonly typeFlag: string
  readonly node: Pick<TreeNode, 'mode' | 'uid' | 'gid'> & { readonly major?: number; readonly minor?: number }
  readonly sizeBytes: number
  readonly mtime: number
}): Buffer {
  const { node } = entry
  const header = Buffer.alloc(blockBytes)
  header.set(entry.name.subarray(0, nameBytesMax), 0)
  writeOctal(header, { at: 100, digits: 7, value: node.mode })
  writeOctal(header, { at: 108, digits: 7, value: node.uid })
  writeOctal(header, { at: 116, digits: 7, value: node.gid })
  writeOctal(header, { at: 124, digits: 11, value: entry.sizeBytes })
  writeOctal(header, { at: 136, digits: 11, value: entry.mtime })
  header.write('        ', 148, 'latin1')
  header.write(entry.typeFlag, 156, 'latin1')
  header.set(entry.target.subarray(0, nameBytesMax), 157)
  header.write('ustar\u000000', 257, 'latin1')
  writeOctal(header, { at: 329, digits: 7, value: node.major ?? 0 })
  writeOctal(header, { at: 337, digits: 7, value: node.minor ?? 0 })
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return header
}

function writeOctal(header: Buffer, field: { at: number; digits: number; value: number }): void {
  const text = field.value.toString(8).padStart(field.digits, '0')
  if (text.length > field.digits)
    throw new Error(`${field.value} does not fit into the header of a tar archive`)
  header.write(`${text}\0`, field.at, 'latin1')
}

/** `LENGTH KEY=VALUE\n`, where the length counts its own digits. */
function record(key: string, value: Uint8Array): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from('\n')])
  let length = rest.length + 1
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length
  return Buffer.concat([Buffer.from(String(length)), rest])
}

function paddingOf(sizeBytes: number): number {
  return (blockBytes - (sizeBytes % blockBytes)) % blockBytes
}
