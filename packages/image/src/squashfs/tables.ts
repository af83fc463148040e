import { UserError } from '../errors.ts'
import { dataStoredFlag, noTable, xattrPrefixes } from './format.ts'
import { MetadataTable, metadataReference } from './metadata.ts'

type Compress = (bytes: Uint8Array) => Uint8Array

/** A table as it lies in the image: metadata blocks, then the list of where they are, which `start` points to. */
export interface IndexedTable {
  readonly bytes: Uint8Array
  readonly start: bigint
}

/** `offset`: where the table begins in the image. */
export function indexedTable(records: Uint8Array, offset: number, compress: Compress): IndexedTable {
  const table = new MetadataTable(compress)
  table.append(records)
  const { bytes, blockOffsets } = table.finish()
  return {
    bytes: Buffer.concat([bytes, blockIndex(blockOffsets, offset)]),
    start: BigInt(offset + bytes.byteLength),
  }
}

function blockIndex(blockOffsets: readonly number[], offset: number): Buffer {
  const index = Buffer.alloc(8 * blockOffsets.length)
  for (const [i, blockOffset] of blockOffsets.entries())
    index.writeBigUInt64LE(BigInt(offset + blockOffset), 8 * i)
  return index
}

export interface PlacedFragment {
  readonly offset: number
  /** On-disk length with its flag. */
  readonly length: number
}

export function fragmentRecords(fragments: readonly PlacedFragment[]): Uint8Array {
  const records = Buffer.alloc(16 * fragments.length)
  for (const [i, { offset, length }] of fragments.entries()) {
    records.writeBigUInt64LE(BigInt(offset), 16 * i)
    records.writeUInt32LE(length, 16 * i + 8)
  }
  return records
}

export function blockLength(sizeBytes: number, kind: 'hole' | 'compressed' | 'stored'): number {
  if (kind === 'hole') return 0
  return kind === 'stored' ? sizeBytes | dataStoredFlag : sizeBytes
}

/** User and group ids share one table; inodes name them by index. */
export class IdTable {
  readonly #indices = new Map<number, number>()

  index(id: number): number {
    let index = this.#indices.get(id)
    if (index === undefined) {
      index = this.#indices.size
      if (index > 0xffff)
        throw new UserError('a squashfs image holds at most 65536 different user and group ids')
      this.#indices.set(id, index)
    }
    return index
  }

  get size(): number {
    return this.#indices.size
  }

  records(): Uint8Array {
    const records = Buffer.alloc(4 * this.#indices.size)
    for (const [id, index] of this.#indices) records.writeUInt32LE(id, 4 * index)
    return records
  }
}

/** Sets of extended attributes; equal sets are stored once and inodes name them by index. */
export class XattrTable {
  readonly #sets = new Map<
    string,
    { readonly bytes: Uint8Array; readonly count: number; readonly index: number }
  >()

  index(path: string, xattrs: Readonly<Record<string, Uint8Array>> | undefined): number | undefined {
    const names = Object.keys(xattrs ?? {}).sort()
    if (xattrs === undefined || names.length === 0) return undefined
    const bytes = Buffer.concat(names.map((name) => xattrRecord(path, name, xattrs[name]!)))
    const key = bytes.toString('latin1')
    let set = this.#sets.get(key)
    if (set === undefined) {
      set = { bytes, count: names.length, index: this.#sets.size }
      this.#sets.set(key, set)
    }
    return set.index
  }

  /** `start` is `noTable` when there are none. */
  finish(offset: number, compress: Compress): IndexedTable {
    if (this.#sets.size === 0) return { bytes: new Uint8Array(0), start: noTable }
    const values = new MetadataTable(compress)
    const ids = new MetadataTable(compress)
    for (const { bytes, count } of this.#sets.values()) {
      const id = Buffer.alloc(16)
      id.writeBigUInt64LE(metadataReference(values.position), 0)
      id.writeUInt32LE(count, 8)
      id.writeUInt32LE(bytes.byteLength, 12)
      ids.append(id)
      values.append(bytes)
    }
    const valueBytes = values.finish().bytes
    const { bytes: idBytes, blockOffsets } = ids.finish()
    const idOffset = offset + valueBytes.byteLength
    const header = Buffer.alloc(16)
    header.writeBigUInt64LE(BigInt(offset), 0)
    header.writeUInt32LE(this.#sets.size, 8)
    return {
      bytes: Buffer.concat([valueBytes, idBytes, header, blockIndex(blockOffsets, idOffset)]),
      start: BigInt(idOffset + idBytes.byteLength),
    }
  }
}

function xattrRecord(path: string, name: string, value: Uint8Array): Buffer {
  const prefix = xattrPrefixes.find(([text]) => name.startsWith(text))
  if (prefix === undefined) {
    throw new UserError(`${path}: squashfs has no place for the extended attribute ${name}`, {
      hint: 'it holds those that begin with user., trusted. or security.',
    })
  }
  const suffix = Buffer.from(name.slice(prefix[0].length))
  const record = Buffer.alloc(4 + suffix.byteLength + 4 + value.byteLength)
  record.writeUInt16LE(prefix[1], 0)
  record.writeUInt16LE(suffix.byteLength, 2)
  record.set(suffix, 4)
  record.writeUInt32LE(value.byteLength, 4 + suffix.byteLength)
  record.set(value, 8 + suffix.byteLength)
  return record
}
