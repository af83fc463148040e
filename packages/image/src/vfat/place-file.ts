import { UserError } from '../errors.ts'
import { directoryEntryBytes, type Fat16 } from './fat16.ts'

/** Bytes that replace those at an offset. */
export interface Patch {
  readonly offsetBytes: number
  readonly bytes: Buffer
}

export interface PlacedFile {
  /** Of a long name: up to 13 characters, and not 8.3 in capitals; `config.toml`. */
  readonly name: string
  readonly bytes: Uint8Array
}

/** What a file system holds where a new file is noted. */
export interface Fat16Parts {
  readonly table: Buffer
  readonly root: Buffer
}

const endOfChain = 0xffff
const attributes = { longName: 0x0f, archive: 0x20, volume: 0x08 }
/** Offsets of the UTF-16 characters in the directory entry of a long name. */
const longNameOffsets = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30]

/**
 * Puts one new file into the root folder of a FAT16 file system: the patches that do it, relative to the file system's
 * start. Same file system and file, same patches: the time of the file is that of the first entry, which is the
 * build's. Throws UserError when there is such a file already, or no room. Pure.
 */
export function placeFile(fat: Fat16, parts: Fat16Parts, file: PlacedFile): Patch[] {
  return placeFiles(fat, parts, [file])
}

/** Several new files, one after the other. Pure. */
export function placeFiles(fat: Fat16, parts: Fat16Parts, files: readonly PlacedFile[]): Patch[] {
  let after = parts
  const contents: Patch[] = []
  for (const file of files) {
    const placed = withFile(fat, after, file)
    after = placed.parts
    contents.push(...placed.content)
  }
  return [
    ...fat.tableOffsets.map((offsetBytes) => ({ offsetBytes, bytes: after.table })),
    { offsetBytes: fat.rootOffset, bytes: after.root },
    ...contents,
  ]
}

function withFile(
  fat: Fat16,
  { table, root }: Fat16Parts,
  file: PlacedFile,
): { readonly parts: Fat16Parts; readonly content: readonly Patch[] } {
  const taken = readNames(root)
  if (taken.has(file.name.toLowerCase())) {
    throw new UserError(`the boot partition has a file ${file.name} already`, {
      hint: 'take an image as `./atomixos build` makes it',
    })
  }
  const chain = freeClusters(fat, table, file)
  const newTable = Buffer.from(table)
  for (const [n, cluster] of chain.entries()) {
    newTable.writeUInt16LE(chain[n + 1] ?? endOfChain, cluster * 2)
  }
  const newRoot = Buffer.from(root)
  const shortName = shortNameFor(file.name, taken)
  const at = freeEntries(root, 2)
  longNameEntry(file.name, shortName).copy(newRoot, at)
  shortEntry(shortName, chain[0] ?? 0, file.bytes.byteLength, root).copy(newRoot, at + directoryEntryBytes)
  return {
    parts: { table: newTable, root: newRoot },
    content: chain.map((cluster, n) => {
      const bytes = Buffer.alloc(fat.clusterBytes)
      bytes.set(file.bytes.subarray(n * fat.clusterBytes, (n + 1) * fat.clusterBytes))
      return { offsetBytes: fat.dataOffset + (cluster - 2) * fat.clusterBytes, bytes }
    }),
  }
}

function freeClusters(fat: Fat16, table: Buffer, file: PlacedFile): number[] {
  const wanted = Math.ceil(file.bytes.byteLength / fat.clusterBytes)
  const free: number[] = []
  for (let cluster = 2; cluster < fat.clusterCount + 2; cluster += 1) {
    if (table.readUInt16LE(cluster * 2) === 0) free.push(cluster)
  }
  if (free.length >= wanted) return free.slice(0, wanted)
  throw new UserError(
    `${file.name} has ${file.bytes.byteLength} bytes, the boot partition room for ${free.length * fat.clusterBytes}`,
    { hint: 'give the device a smaller configuration, or one on a USB stick' },
  )
}

/** Long and short names of all files, in lower case. */
function readNames(root: Buffer): Set<string> {
  const names = new Set<string>()
  let long = ''
  for (const { entry } of entries(root)) {
    if (entry[11] === attributes.longName) {
      long = longNameOffsets.map((at) => String.fromCharCode(entry.readUInt16LE(at))).join('') + long
      continue
    }
    const [base, extension] = [
      entry.toString('latin1', 0, 8).trimEnd(),
      entry.toString('latin1', 8, 11).trimEnd(),
    ]
    names.add((extension ? `${base}.${extension}` : base).toLowerCase())
    const end = long.search(/[\0\uffff]/)
    if (long) names.add((end === -1 ? long : long.slice(0, end)).toLowerCase())
    long = ''
  }
  return names
}

/** Those in use; the list ends at the first entry that never was. */
function* entries(root: Buffer): Generator<{ at: number; entry: Buffer }> {
  for (let at = 0; at < root.byteLength && root[at] !== 0; at += directoryEntryBytes) {
    if (root[at] !== 0xe5) yield { at, entry: root.subarray(at, at + directoryEntryBytes) }
  }
}

/** Offset of so many entries behind all others. Gaps of removed files are left alone: our images have none. */
function freeEntries(root: Buffer, count: number): number {
  const last = [...entries(root)].at(-1)
  const at = last === undefined ? 0 : last.at + directoryEntryBytes
  if (at + count * directoryEntryBytes <= root.byteLength) return at
  throw new UserError('the root folder of the boot partition is full')
}

/** `CONFIG~1TOM`: eleven characters, none of another file. */
function shortNameFor(name: string, taken: ReadonlySet<string>): string {
  const clean = (text: string) => text.toUpperCase().replaceAll(/[^A-Z0-9]/g, '')
  const dot = name.lastIndexOf('.')
  const base = clean(dot === -1 ? name : name.slice(0, dot)).slice(0, 6)
  const extension = clean(dot === -1 ? '' : name.slice(dot + 1)).slice(0, 3)
  for (let n = 1; n <= 9; n += 1) {
    const candidate = `${base}~${n}`
    if (taken.has(`${candidate}${extension && `.${extension}`}`.toLowerCase())) continue
    return candidate.padEnd(8) + extension.padEnd(3)
  }
  throw new UserError(`the boot partition has too many files with names like ${name}`)
}

function longNameEntry(name: string, shortName: string): Buffer {
  if (name.length > longNameOffsets.length) throw new RangeError(`${name} needs more than one entry`)
  const entry = Buffer.alloc(directoryEntryBytes)
  // The first and the last one of the name.
  entry[0] = 0x41
  entry[11] = attributes.longName
  entry[13] = [...Buffer.from(shortName, 'latin1')].reduce(
    (sum, byte) => (((sum & 1) << 7) + (sum >> 1) + byte) & 0xff,
    0,
  )
  for (const [n, at] of longNameOffsets.entries()) {
    entry.writeUInt16LE(n < name.length ? name.charCodeAt(n) : n === name.length ? 0 : 0xffff, at)
  }
  return entry
}

function shortEntry(shortName: string, firstCluster: number, sizeBytes: number, root: Buffer): Buffer {
  const entry = Buffer.alloc(directoryEntryBytes)
  entry.write(shortName, 0, 'latin1')
  entry[11] = attributes.archive
  const like = [...entries(root)].find(
    ({ entry: { 11: kind } }) => kind !== attributes.longName && (kind! & attributes.volume) === 0,
  )
  if (like !== undefined) {
    const [time, date] = [like.entry.readUInt16LE(22), like.entry.readUInt16LE(24)]
    entry.writeUInt16LE(time, 14)
    entry.writeUInt16LE(date, 16)
    entry.writeUInt16LE(date, 18)
    entry.writeUInt16LE(time, 22)
    entry.writeUInt16LE(date, 24)
  }
  entry.writeUInt16LE(firstCluster, 26)
  entry.writeUInt32LE(sizeBytes, 28)
  return entry
}
