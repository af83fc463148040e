import { createHash, type Hash } from 'node:crypto'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { constants, createZstdDecompress, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { DeltaError, type DeltaFrame, type DeltaHeader, type DeltaRange, deltaLimits } from './format.ts'
import { HashTree } from './hash-tree.ts'
import { type ReadNext, readDeltaStart, readDeltaStep, unpackedBytes } from './read-delta.ts'
import { RepackingOutput } from './repack.ts'

/** Room for what is unpacked, `unpackedBytesMax` at most. */
export interface DeltaScratch {
  /** The bytes are the callee's until the promise is kept. */
  readonly append: (bytes: Uint8Array) => Promise<void>
  readonly read: (offsetBytes: number, into: Buffer) => Promise<void>
}

/** How a rebuild reaches the world. */
export interface RebuildDoors {
  /** The delta, from its beginning on. */
  readonly next: ReadNext
  /** Fills `into` from an image that is here, by its index in the header; fails when there are fewer bytes. */
  readonly readSource: (source: number, offsetBytes: number, into: Buffer) => Promise<void>
  readonly scratch: DeltaScratch
  /** Appends to the bundle. The bytes are the writer's until the promise is kept. */
  readonly write: (bytes: Uint8Array) => Promise<void>
  /** Called with what the header says, before anything is read or written; throws when it is not wanted. */
  readonly onHeader?: (header: DeltaHeader) => Promise<void>
  readonly onProgress?: (plainBytes: number, totalBytes: number) => void
  readonly signal?: AbortSignal | undefined
}

/** Read and written at a time. */
const chunkBytes = 1 << 20

/**
 * Makes a bundle out of a delta and the images that it was made for. Fails with a DeltaError unless it is the one that
 * the delta's header names, by size and SHA-256; never writes more than that size. Memory is bounded by `deltaLimits`,
 * whatever the delta says.
 */
export async function rebuildBundle(doors: RebuildDoors): Promise<void> {
  const { header, frames } = await readDeltaStart(doors.next)
  if (header.repackings.length > 0 && header.zstd !== process.versions.zstd) {
    throw new DeltaError(`it needs zstd ${oneWord(header.zstd)}; this system has ${process.versions.zstd}`)
  }
  await doors.onHeader?.(header)
  const packed = new PackedOutput(header, doors)
  const plain = new PlainOutput(header, frames, packed)
  // One for all: what is thrown away a hundred times a second is not given back as quickly.
  const chunk = Buffer.allocUnsafeSlow(chunkBytes)
  const scratch: Dictionary = { bytes: Buffer.alloc(0) }
  await unpackFrames(header, doors, chunk)
  const readSource = (source: number, offsetBytes: number, into: Buffer) =>
    source === header.sources.length
      ? doors.scratch.read(offsetBytes, into)
      : doors.readSource(source, offsetBytes, into)
  await using made = new RepackingOutput(plain)
  let steps = 0
  for (;;) {
    doors.signal?.throwIfAborted()
    const step = await readDeltaStep(doors.next, header)
    if (step === undefined) break
    steps += 1
    if (steps > deltaLimits.stepsMax) throw new DeltaError('it has too many steps')
    switch (step.kind) {
      case 'copy':
        for (let done = 0; done < step.lengthBytes; done += chunkBytes) {
          const piece = chunk.subarray(0, Math.min(chunkBytes, step.lengthBytes - done))
          await readSource(step.source, step.offsetBytes + done, piece)
          await made.write(piece)
          doors.signal?.throwIfAborted()
        }
        break
      case 'patch':
        await made.write(
          unpackPatch(step.data, step.lengthBytes, await dictionaryOf(step.ranges, readSource, scratch)),
        )
        break
      case 'tree':
        made.requireIdle()
        await plain.writeTree(step.tree)
        break
      case 'repack':
        made.requireIdle()
        made.begin(header.repackings[step.repacking]!, step.lengthBytes)
        break
    }
    doors.onProgress?.(plain.doneBytes, header.plainBytes)
  }
  made.requireIdle()
  plain.requireComplete()
  packed.requireResult()
}

/** For a message: a version is nothing that could hold a line's end. */
function oneWord(text: string): string {
  return /^[\w.+-]{1,40}$/.test(text) ? text : 'of an unknown version'
}

/** One after the other, in pieces, into the room for them. */
async function unpackFrames(header: DeltaHeader, doors: RebuildDoors, chunk: Buffer): Promise<void> {
  if (unpackedBytes(header) === 0) return
  for (const { source, offsetBytes, lengthBytes, plainBytes } of header.unpacked) {
    doors.signal?.throwIfAborted()
    let failure: unknown
    const pieces = async function* () {
      for (let done = 0; done < lengthBytes; done += chunkBytes) {
        const piece = chunk.subarray(0, Math.min(chunkBytes, lengthBytes - done))
        try {
          await doors.readSource(source, offsetBytes + done, piece)
        } catch (error) {
          failure = error
          throw error
        }
        // A copy: the decompressor may still read it when the next one comes.
        yield Buffer.from(piece)
      }
    }
    let leftBytes = plainBytes
    const unpack = createZstdDecompress({
      params: { [constants.ZSTD_d_windowLogMax]: deltaLimits.repackWindowLogMax },
      chunkSize: 256 << 10,
    })
    try {
      await pipeline(Readable.from(pieces()), unpack, async (unpacked: AsyncIterable<Buffer>) => {
        for await (const bytes of unpacked) {
          leftBytes -= bytes.byteLength
          if (leftBytes < 0) throw new DeltaError('a frame of a source is longer than the delta says')
          try {
            await doors.scratch.append(bytes)
          } catch (error) {
            failure = error
            throw error
          }
        }
      })
    } catch (cause) {
      // What the disk says is about the disk; anything else is about the frame.
      if (failure !== undefined) throw failure
      if (cause instanceof DeltaError) throw cause
      throw new DeltaError('a frame of a source is damaged', { cause })
    }
    if (leftBytes > 0) throw new DeltaError('a frame of a source is shorter than the delta says')
  }
}

/** One room for all dictionaries. */
interface Dictionary {
  bytes: Buffer
}

async function dictionaryOf(
  ranges: readonly DeltaRange[],
  readSource: RebuildDoors['readSource'],
  scratch: Dictionary,
): Promise<Buffer | undefined> {
  if (ranges.length === 0) return undefined
  const sizeBytes = ranges.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0)
  if (scratch.bytes.byteLength < sizeBytes) scratch.bytes = Buffer.allocUnsafeSlow(sizeBytes)
  const dictionary = scratch.bytes.subarray(0, sizeBytes)
  let filled = 0
  for (const { source, offsetBytes, lengthBytes } of ranges) {
    await readSource(source, offsetBytes, dictionary.subarray(filled, filled + lengthBytes))
    filled += lengthBytes
  }
  return dictionary
}

function unpackPatch(data: Uint8Array, lengthBytes: number, dictionary: Buffer | undefined): Buffer {
  let plain: Buffer
  try {
    plain = zstdDecompressSync(data, {
      ...(dictionary && { dictionary }),
      params: { [constants.ZSTD_d_windowLogMax]: deltaLimits.windowLog },
      maxOutputLength: lengthBytes,
      // One piece, so that it need not be put together of many.
      chunkSize: Math.max(64, lengthBytes),
    })
  } catch (cause) {
    throw new DeltaError('a patch is damaged', { cause })
  }
  if (plain.byteLength !== lengthBytes) throw new DeltaError('a patch is shorter than it says')
  return plain
}

/** The same bytes as the bundle's own writer makes of a block; undefined when it would not pack it. */
export function packBlock(block: Uint8Array, level: number): Buffer {
  return zstdCompressSync(block, {
    params: { [constants.ZSTD_c_compressionLevel]: level },
    pledgedSrcSize: block.byteLength,
    chunkSize: Math.max(64, block.byteLength + (block.byteLength >> 8) + 64),
  })
}

/** Hashes those bytes of a stream that a tree is over. */
class TreeFeed {
  readonly #tree: HashTree
  readonly #startBytes: number
  readonly #endBytes: number

  constructor({ offsetBytes, lengthBytes, salt }: DeltaHeader['trees'][number]) {
    this.#tree = new HashTree(lengthBytes, Buffer.from(salt, 'hex'))
    this.#startBytes = offsetBytes
    this.#endBytes = offsetBytes + lengthBytes
  }

  /** `bytes` are at `position` of the stream. */
  came(bytes: Uint8Array, position: number): void {
    const from = Math.max(0, this.#startBytes - position)
    const until = Math.min(bytes.byteLength, this.#endBytes - position)
    if (from < until) this.#tree.update(bytes.subarray(from, until))
  }

  finish(): Buffer {
    if (!this.#tree.complete) throw new DeltaError('a hash tree comes before what it hashes')
    return this.#tree.finish().tree
  }
}

/** The bundle: hashed as a whole, and never longer than announced. */
class PackedOutput {
  readonly #result: DeltaHeader['result']
  readonly #write: RebuildDoors['write']
  readonly #hash: Hash = createHash('sha256')
  readonly #feeds: readonly TreeFeed[]
  #doneBytes = 0

  constructor({ result, trees }: DeltaHeader, { write }: RebuildDoors) {
    this.#result = result
    this.#write = write
    this.#feeds = trees.filter((tree) => tree.of === 'packed').map((tree) => new TreeFeed(tree))
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.#doneBytes + bytes.byteLength > this.#result.sizeBytes) {
      throw new DeltaError('what it makes is longer than the bundle')
    }
    this.#hash.update(bytes)
    for (const feed of this.#feeds) feed.came(bytes, this.#doneBytes)
    this.#doneBytes += bytes.byteLength
    await this.#write(bytes)
  }

  tree(index: number): Buffer {
    return this.#feeds[index]!.finish()
  }

  requireResult(): void {
    if (this.#doneBytes !== this.#result.sizeBytes || this.#hash.digest('hex') !== this.#result.sha256) {
      throw new DeltaError('what it makes is not the bundle')
    }
  }
}

/** The plain bundle, cut into frames and packed as these say. */
class PlainOutput {
  readonly #header: DeltaHeader
  readonly #frames: readonly DeltaFrame[]
  readonly #packed: PackedOutput
  readonly #feeds: readonly TreeFeed[]
  /** A block that is to be packed, while it comes. */
  readonly #block: Buffer
  #blockBytes = 0
  #frame = 0
  #leftOfFrame: number
  doneBytes = 0

  constructor(header: DeltaHeader, frames: readonly DeltaFrame[], packed: PackedOutput) {
    this.#header = header
    this.#frames = frames
    this.#packed = packed
    this.#feeds = header.trees.filter((tree) => tree.of === 'plain').map((tree) => new TreeFeed(tree))
    this.#block = Buffer.alloc(header.packing.blockBytes)
    this.#leftOfFrame = frames[0]?.lengthBytes ?? 0
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (const feed of this.#feeds) feed.came(bytes, this.doneBytes)
    for (let at = 0; at < bytes.byteLength; ) {
      if (this.#leftOfFrame === 0) this.#nextFrame()
      const count = Math.min(this.#leftOfFrame, bytes.byteLength - at)
      const piece = bytes.subarray(at, at + count)
      this.#leftOfFrame -= count
      const { kind } = this.#frames[this.#frame]!
      if (kind === 'as-is') await this.#packed.write(piece)
      else if (kind === 'packed') await this.#pack(piece)
      at += count
      this.doneBytes += count
    }
  }

  async writeTree(index: number): Promise<void> {
    const { trees } = this.#header
    const { of } = trees[index]!
    const among = trees.slice(0, index).filter((tree) => tree.of === of).length
    await this.write(of === 'plain' ? this.#feeds[among]!.finish() : this.#packed.tree(among))
  }

  requireComplete(): void {
    if (this.doneBytes !== this.#header.plainBytes) throw new DeltaError('it ends before the bundle does')
  }

  #nextFrame(): void {
    this.#frame += 1
    const frame = this.#frames[this.#frame]
    if (frame === undefined) throw new DeltaError('what it makes is longer than the plain bundle')
    this.#leftOfFrame = frame.lengthBytes
  }

  /** Whole blocks, and what is left at the end of a frame. */
  async #pack(piece: Uint8Array): Promise<void> {
    for (let at = 0; at < piece.byteLength; ) {
      const count = Math.min(this.#block.byteLength - this.#blockBytes, piece.byteLength - at)
      this.#block.set(piece.subarray(at, at + count), this.#blockBytes)
      this.#blockBytes += count
      at += count
      const full = this.#blockBytes === this.#block.byteLength
      const frameEnds = this.#leftOfFrame === 0 && at === piece.byteLength
      if (!full && !frameEnds) continue
      await this.#packed.write(
        packBlock(this.#block.subarray(0, this.#blockBytes), this.#header.packing.level),
      )
      this.#blockBytes = 0
    }
  }
}
