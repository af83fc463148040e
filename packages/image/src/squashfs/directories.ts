import { directoryHeaderEntries } from './format.ts'
import type { MetadataPosition } from './metadata.ts'

export interface DirectoryEntry {
  readonly name: string
  readonly inode: MetadataPosition
  readonly inodeNumber: number
  /** Basic type, also for extended inodes. */
  readonly type: number
}

/**
 * A directory's listing. Entries come in runs whose inodes lie in one metadata block and whose numbers are
 * within 15 bits of the first; each run has a header. Entries must be sorted by the bytes of their names.
 */
export function directoryListing(entries: readonly DirectoryEntry[]): Uint8Array {
  const pieces: Buffer[] = []
  let start = 0
  while (start < entries.length) {
    const first = entries[start]!
    let end = start + 1
    while (end < entries.length && end - start < directoryHeaderEntries && sameRun(first, entries[end]!))
      end += 1
    const header = Buffer.alloc(12)
    header.writeUInt32LE(end - start - 1, 0)
    header.writeUInt32LE(first.inode.blockOffset, 4)
    header.writeUInt32LE(first.inodeNumber, 8)
    pieces.push(header)
    for (const entry of entries.slice(start, end)) pieces.push(listingEntry(entry, first.inodeNumber))
    start = end
  }
  return Buffer.concat(pieces)
}

function sameRun(first: DirectoryEntry, entry: DirectoryEntry): boolean {
  const distance = entry.inodeNumber - first.inodeNumber
  return entry.inode.blockOffset === first.inode.blockOffset && distance >= -0x8000 && distance <= 0x7fff
}

function listingEntry(entry: DirectoryEntry, firstNumber: number): Buffer {
  const name = Buffer.from(entry.name)
  const record = Buffer.alloc(8 + name.byteLength)
  record.writeUInt16LE(entry.inode.offset, 0)
  record.writeInt16LE(entry.inodeNumber - firstNumber, 2)
  record.writeUInt16LE(entry.type, 4)
  record.writeUInt16LE(name.byteLength - 1, 6)
  record.set(name, 8)
  return record
}
