import { createHash, randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, utimesSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { compress, compressionIdentity, type ZstdParameters } from './compression.ts'

/** A block as it goes into the image. */
export interface PackedBlock {
  readonly kind: 'hole' | 'compressed' | 'stored'
  readonly bytes: Uint8Array
}

const kinds = ['hole', 'compressed', 'stored'] as const
const headerBytes = 8

/**
 * Compressed blocks, kept between builds under a hash of what is in them and of how they were compressed.
 * Compressing the whole root file system takes a minute; a change touches a block or two.
 */
export class BlockCache {
  readonly #dir: string
  readonly #parameters: ZstdParameters
  readonly #identity: string
  readonly #turns = new Turns(availableParallelism())
  hits = 0
  misses = 0

  constructor(dir: string, parameters: ZstdParameters) {
    this.#dir = dir
    this.#parameters = parameters
    this.#identity = compressionIdentity(parameters)
    mkdirSync(dir, { recursive: true })
  }

  /**
   * The packed block for `source`, a text that says what is in the block by content hashes, so that nothing
   * has to be read when it is known. `load` gives the block's bytes and is called only when it is not.
   */
  async get(source: string, load: () => Uint8Array): Promise<PackedBlock> {
    const key = createHash('sha256').update(`${this.#identity}\n${source}`).digest('hex')
    const path = join(this.#dir, key)
    const known = readBlock(path)
    if (known !== undefined) {
      this.hits += 1
      return known
    }
    this.misses += 1
    return this.#turns.take(async () => {
      const block = await packBlock(load(), this.#parameters)
      writeBlock(path, block)
      return block
    })
  }
}

async function packBlock(bytes: Uint8Array, parameters: ZstdParameters): Promise<PackedBlock> {
  if (isZero(bytes)) return { kind: 'hole', bytes: new Uint8Array(0) }
  const compressed = await compress(bytes, parameters)
  if (compressed.byteLength < bytes.byteLength) return { kind: 'compressed', bytes: compressed }
  return { kind: 'stored', bytes }
}

function isZero(bytes: Uint8Array): boolean {
  return bytes[0] === 0 && Buffer.compare(bytes.subarray(1), bytes.subarray(0, -1)) === 0
}

/** A block that a power cut or a full disk left damaged counts as absent. */
function readBlock(path: string): PackedBlock | undefined {
  let file: Buffer
  try {
    file = readFileSync(path)
    // The file's time says when it was last wanted, for whoever clears the cache.
    const now = new Date()
    utimesSync(path, now, now)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  if (file.byteLength < headerBytes) return undefined
  const kind = kinds[file.readUInt32LE(4)]
  if (kind === undefined || crc32(file.subarray(4)) !== file.readUInt32LE(0)) return undefined
  return { kind, bytes: file.subarray(headerBytes) }
}

function writeBlock(path: string, block: PackedBlock): void {
  const header = Buffer.alloc(headerBytes)
  header.writeUInt32LE(kinds.indexOf(block.kind), 4)
  header.writeUInt32LE(crc32(block.bytes, crc32(header.subarray(4))), 0)
  const temporary = `${path}.${randomBytes(6).toString('hex')}`
  writeFileSync(temporary, Buffer.concat([header, block.bytes]))
  renameSync(temporary, path)
}

/**
 * As many at a time as there are cores: the thread pool is not left without a thread for what other steps read
 * and write meanwhile, and blocks that wait their turn are not in memory.
 */
class Turns {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(count: number) {
    this.#free = count
  }

  async take<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free -= 1
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#free += 1
      else next()
    }
  }
}
