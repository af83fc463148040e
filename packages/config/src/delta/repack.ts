import { promisify } from 'node:util'
import { constants, createZstdCompress, type ZstdCompress, type ZstdOptions, zstdCompress } from 'node:zlib'
import { DeltaError, type DeltaRepacking } from './format.ts'

const compressAsync = promisify(zstdCompress)

/** A block of an image, as the image's writer makes it: on the thread pool, since zstd has other bytes for it otherwise. */
function repackBlock(block: Uint8Array, how: DeltaRepacking): Promise<Buffer> {
  return compressAsync(block, {
    ...zstdOptions(how),
    pledgedSrcSize: block.byteLength,
    chunkSize: Math.max(64, block.byteLength + (block.byteLength >> 8) + 64),
  })
}

/** In either form, all of it in memory. */
export async function repackWhole(plain: Uint8Array, how: DeltaRepacking): Promise<Buffer> {
  const pieces: Buffer[] = []
  await using output = new RepackingOutput({ write: async (bytes) => void pieces.push(Buffer.from(bytes)) })
  output.begin(how, plain.byteLength)
  await output.write(plain)
  return Buffer.concat(pieces)
}

function zstdOptions(how: DeltaRepacking): ZstdOptions {
  const params: Record<number, number> = { [constants.ZSTD_c_compressionLevel]: how.level }
  const set = (key: number, value: number | undefined) => {
    if (value !== undefined) params[key] = value
  }
  set(constants.ZSTD_c_strategy, how.strategy)
  set(constants.ZSTD_c_minMatch, how.minMatch)
  set(constants.ZSTD_c_searchLog, how.searchLog)
  set(constants.ZSTD_c_targetLength, how.targetLength)
  set(constants.ZSTD_c_windowLog, how.windowLog)
  set(constants.ZSTD_c_hashLog, how.hashLog)
  if (how.checksum) set(constants.ZSTD_c_checksumFlag, 1)
  return { params }
}

interface Output {
  /** The bytes are the writer's until the promise is kept. */
  write(bytes: Uint8Array): Promise<void>
}

/** Hands on what steps make: as it is, or, for as many bytes as a step has announced, compressed. */
export class RepackingOutput implements AsyncDisposable {
  readonly #output: Output
  #now: { readonly into: Compressor; leftBytes: number } | undefined

  constructor(output: Output) {
    this.#output = output
  }

  begin(how: DeltaRepacking, lengthBytes: number): void {
    const into =
      how.form === 'block'
        ? new BlockCompressor(this.#output, how, lengthBytes)
        : new StreamCompressor(this.#output, how)
    this.#now = { into, leftBytes: lengthBytes }
  }

  async write(bytes: Uint8Array): Promise<void> {
    const now = this.#now
    if (now === undefined) return this.#output.write(bytes)
    now.leftBytes -= bytes.byteLength
    if (now.leftBytes < 0) throw new DeltaError('more is compressed than a step has announced')
    await now.into.write(bytes)
    if (now.leftBytes > 0) return
    await now.into.finish()
    this.#now = undefined
  }

  /** Nothing is being compressed: what comes now belongs to nothing that was announced. */
  requireIdle(): void {
    if (this.#now !== undefined) throw new DeltaError('less is compressed than a step has announced')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#now?.into.abandon()
  }
}

interface Compressor extends Output {
  finish(): Promise<void>
  /** Gives back what it holds. */
  abandon(): Promise<void>
}

class BlockCompressor implements Compressor {
  readonly #output: Output
  readonly #how: DeltaRepacking
  readonly #block: Buffer
  #filledBytes = 0

  constructor(output: Output, how: DeltaRepacking, lengthBytes: number) {
    this.#output = output
    this.#how = how
    this.#block = Buffer.allocUnsafeSlow(lengthBytes)
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#block.set(bytes, this.#filledBytes)
    this.#filledBytes += bytes.byteLength
  }

  async finish(): Promise<void> {
    await this.#output.write(await repackBlock(this.#block, this.#how))
  }

  async abandon(): Promise<void> {}
}

class StreamCompressor implements Compressor {
  readonly #stream: ZstdCompress
  readonly #written: Promise<void>

  constructor(output: Output, how: DeltaRepacking) {
    const stream = createZstdCompress(zstdOptions(how))
    this.#stream = stream
    this.#written = (async () => {
      for await (const piece of stream) await output.write(piece as Buffer)
    })()
    // Whoever waits for it next is told.
    this.#written.catch(() => {})
  }

  /**
   * When it returns the stream has taken all. With a piece still waiting at its end, Node would end the frame with that
   * piece, and then once more: an empty frame behind it.
   */
  async write(bytes: Uint8Array): Promise<void> {
    const taken = new Promise<void>((resolve, reject) => {
      this.#stream.write(bytes, (error) => (error ? reject(error) : resolve()))
    })
    try {
      await taken
    } catch (error) {
      // Of whoever takes what comes out, in the first place.
      await this.#written
      throw error
    }
  }

  async finish(): Promise<void> {
    this.#stream.end()
    await this.#written
  }

  async abandon(): Promise<void> {
    this.#stream.destroy()
    await this.#written.catch(() => {})
  }
}
