import { metadataBlockBytes, metadataStoredFlag } from './format.ts'

/** Where something lies in a metadata table: its block's offset in the table, and the offset in that block. */
export interface MetadataPosition {
  readonly blockOffset: number
  readonly offset: number
}

/** As inodes and tables store it: 48 bits of block offset, 16 bits within. */
export function metadataReference(position: MetadataPosition): bigint {
  return (BigInt(position.blockOffset) << 16n) | BigInt(position.offset)
}

/** A stream of records, cut into blocks that are compressed as soon as they are full. */
export class MetadataTable {
  readonly #compress: (bytes: Uint8Array) => Uint8Array
  readonly #blocks: Uint8Array[] = []
  readonly #blockOffsets: number[] = []
  readonly #pending = Buffer.alloc(metadataBlockBytes)
  #pendingBytes = 0
  #writtenBytes = 0

  constructor(compress: (bytes: Uint8Array) => Uint8Array) {
    this.#compress = compress
  }

  /** Where the next record will lie. */
  get position(): MetadataPosition {
    return { blockOffset: this.#writtenBytes, offset: this.#pendingBytes }
  }

  append(record: Uint8Array): void {
    let done = 0
    while (done < record.byteLength) {
      const count = Math.min(record.byteLength - done, metadataBlockBytes - this.#pendingBytes)
      this.#pending.set(record.subarray(done, done + count), this.#pendingBytes)
      this.#pendingBytes += count
      done += count
      if (this.#pendingBytes === metadataBlockBytes) this.#flush()
    }
  }

  /** The table's bytes, and where each of its blocks begins in them. Nothing can be appended afterwards. */
  finish(): { readonly bytes: Uint8Array; readonly blockOffsets: readonly number[] } {
    if (this.#pendingBytes > 0) this.#flush()
    return { bytes: Buffer.concat(this.#blocks), blockOffsets: this.#blockOffsets }
  }

  #flush(): void {
    const plain = this.#pending.subarray(0, this.#pendingBytes)
    const compressed = this.#compress(plain)
    const stored = compressed.byteLength >= plain.byteLength
    // A copy, since `pending` is used again.
    const body = stored ? Buffer.from(plain) : compressed
    const header = Buffer.alloc(2)
    header.writeUInt16LE(body.byteLength | (stored ? metadataStoredFlag : 0))
    this.#blockOffsets.push(this.#writtenBytes)
    this.#blocks.push(header, body)
    this.#writtenBytes += header.byteLength + body.byteLength
    this.#pendingBytes = 0
  }
}
