import { hash } from 'node:crypto'

/** dm-verity's hash tree: format 1, SHA-256, blocks of 4 KiB. */

export const verityBlockBytes = 4096
const digestBytes = 32
const digestsPerBlock = verityBlockBytes / digestBytes

/** Hashes data as it comes, whatever the size of its pieces. */
export class HashTree {
  readonly #digest: (bytes: Uint8Array, offset: number) => Buffer
  readonly #salt: Buffer
  readonly #leaves: Buffer
  readonly #rest = Buffer.alloc(verityBlockBytes)
  #restBytes = 0
  #leafBytes = 0

  /** `lengthBytes` of data, two blocks or more: a single block would have no tree. */
  constructor(lengthBytes: number, salt: Buffer) {
    if (lengthBytes <= verityBlockBytes || lengthBytes % verityBlockBytes !== 0) {
      throw new RangeError(`${lengthBytes} bytes are not two or more blocks of ${verityBlockBytes}`)
    }
    this.#salt = salt
    this.#digest = saltedHash(salt)
    this.#leaves = wholeBlocks(lengthBytes / verityBlockBytes)
    this.#missingBlocks = lengthBytes / verityBlockBytes
  }

  #missingBlocks: number

  /** Whether all data has come. */
  get complete(): boolean {
    return this.#missingBlocks === 0
  }

  /** More than `lengthBytes` in all is a RangeError. */
  update(bytes: Uint8Array): void {
    let at = 0
    while (at < bytes.byteLength) {
      if (this.#restBytes === 0 && bytes.byteLength - at >= verityBlockBytes) {
        this.#leaf(bytes, at)
        at += verityBlockBytes
        continue
      }
      const count = Math.min(verityBlockBytes - this.#restBytes, bytes.byteLength - at)
      this.#rest.set(bytes.subarray(at, at + count), this.#restBytes)
      this.#restBytes += count
      at += count
      if (this.#restBytes < verityBlockBytes) continue
      this.#leaf(this.#rest, 0)
      this.#restBytes = 0
    }
  }

  /** The tree, its smallest level first, and the hash above it. */
  finish(): { readonly rootHash: string; readonly tree: Buffer } {
    if (!this.complete) throw new RangeError('not all of the data has come')
    return treeAbove(this.#leaves, this.#salt)
  }

  #leaf(bytes: Uint8Array, offset: number): void {
    if (this.#missingBlocks === 0) throw new RangeError('more data than announced')
    this.#missingBlocks -= 1
    this.#leaves.set(this.#digest(bytes, offset), this.#leafBytes)
    this.#leafBytes += digestBytes
  }
}

function treeAbove(leaves: Buffer, salt: Buffer): { readonly rootHash: string; readonly tree: Buffer } {
  const digest = saltedHash(salt)
  const levels = [leaves]
  while (levels.at(-1)!.byteLength > verityBlockBytes) {
    const below = levels.at(-1)!
    const level = wholeBlocks(below.byteLength / verityBlockBytes)
    for (let i = 0; i * verityBlockBytes < below.byteLength; i += 1) {
      level.set(digest(below, i * verityBlockBytes), i * digestBytes)
    }
    levels.push(level)
  }
  const rootHash = digest(levels.at(-1)!, 0).toString('hex')
  return { rootHash, tree: Buffer.concat(levels.reverse()) }
}

/** What no digest fills is zero. */
function wholeBlocks(digests: number): Buffer {
  return Buffer.alloc(Math.ceil(digests / digestsPerBlock) * verityBlockBytes)
}

/** Format 1 hashes the salt first. One buffer for all: a fresh Hash object per block would take twice the time. */
function saltedHash(salt: Buffer): (bytes: Uint8Array, offset: number) => Buffer {
  const buffer = Buffer.alloc(salt.byteLength + verityBlockBytes)
  salt.copy(buffer)
  return (bytes, offset) => {
    buffer.set(bytes.subarray(offset, offset + verityBlockBytes), salt.byteLength)
    return hash('sha256', buffer, 'buffer')
  }
}
