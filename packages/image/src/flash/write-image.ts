import { createHash, hash } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { MiB } from '@atomixos/config'
import { UserError } from '../errors.ts'
import type { Reporter, Task } from '../reporter.ts'
import type { Patch } from '../vfat/place-file.ts'
import type { FlashImage } from './flash-image.ts'
import { alignedBuffer, describeDeviceError, type Target } from './target.ts'

/** Cards are fastest with whole erase blocks. */
const chunkBytes = 4 * MiB
/** Partition table and the first part of the boot loader: without them nothing starts from the device. */
const headBytes = MiB
/** Where an older table's copy may be: systems look for it when the one at the start is missing. */
const tailBytes = MiB

export interface WriteOptions {
  readonly image: FlashImage
  /** What the device gets instead of the image's bytes. */
  readonly patches: readonly Patch[]
  readonly target: Target
  readonly reporter: Reporter
  readonly signal: AbortSignal
}

export interface Written {
  /** Of the image's bytes. */
  readonly writtenBytes: number
  /** Zeros that the device had already, which were only read. */
  readonly skippedBytes: number
  /** Whether what was read back came from the device, not from a cache of this machine. */
  readonly uncached: boolean
}

/**
 * Writes an image and reads it back. The order makes an interrupted device one that does not boot at all:
 * the start and the end are emptied first, then everything else is written, read back and compared, and only then
 * the start is written, read back and compared as well. Throws UserError, or the signal's reason, and says both
 * times what has become of the device.
 */
export async function writeImage(options: WriteOptions): Promise<Written> {
  const { image, target, signal, reporter } = options
  const device = new Device(target, image.sizeBytes)
  try {
    return await writeAndCompare(options, device)
  } catch (error) {
    const state = device.touched
      ? `${target.path} is not usable now: what was on it is lost, and it does not boot`
      : `${target.path} was not changed`
    if (signal.aborted) {
      reporter.warn(`${state}.${device.touched ? ' Run the command again.' : ''}`)
      throw error
    }
    const message = error instanceof Error ? error.message : String(error)
    const hint = error instanceof UserError ? error.hint : undefined
    throw new UserError(`${message}\n${state}`, {
      hint: hint ?? 'run the command again; when it fails again, take another card, reader or port',
      cause: error,
    })
  }
}

async function writeAndCompare(
  { image, patches, target, reporter, signal }: WriteOptions,
  device: Device,
): Promise<Written> {
  await using source = await open(image.path, 'r')
  signal.throwIfAborted()
  await device.empty()

  const writing = reporter.task(`writing ${target.path}`)
  const written = await taskDone(writing, () => writeBody(image, source, patches, device, writing, signal))
  const reading = reporter.task('reading back')
  await taskDone(reading, () => compareBody(written.digests, device, reading, signal))

  signal.throwIfAborted()
  await device.write(written.head, 0)
  await device.sync()
  const head = alignedBuffer(headBytes)
  await device.read(head, 0)
  if (!head.equals(written.head)) {
    await device.empty().catch(() => {})
    throw differs(target, 0)
  }
  await device.close()
  const { writtenBytes, skippedBytes } = written
  return { writtenBytes, skippedBytes, uncached: target.uncached }
}

interface Body {
  /** Of each chunk as it is on the device before the head is written. */
  readonly digests: readonly string[]
  readonly head: Buffer
  readonly writtenBytes: number
  readonly skippedBytes: number
}

async function writeBody(
  image: FlashImage,
  source: FileHandle,
  patches: readonly Patch[],
  device: Device,
  task: Task,
  signal: AbortSignal,
): Promise<Body> {
  const whole = createHash('sha256')
  const buffer = alignedBuffer(chunkBytes)
  const head = alignedBuffer(headBytes)
  const digests: string[] = []
  let skippedBytes = 0
  for (let position = 0; position < image.sizeBytes; position += chunkBytes) {
    signal.throwIfAborted()
    const chunk = buffer.subarray(0, Math.min(chunkBytes, image.sizeBytes - position))
    await readImage(source, chunk, position, image.path)
    whole.update(chunk)
    applyPatches(chunk, position, patches)
    if (position === 0) {
      chunk.copy(head)
      chunk.fill(0, 0, headBytes)
    }
    digests.push(hash('sha256', chunk))
    if (isZero(chunk) && (await device.isZero(chunk.byteLength, position))) skippedBytes += chunk.byteLength
    else await device.write(chunk, position)
    task.progress(position + chunk.byteLength, image.sizeBytes, 'bytes')
  }
  await device.sync()
  if (whole.digest('hex') !== image.sha256) {
    throw new UserError(`${image.path} changed while it was written`, {
      hint: 'wait until nothing builds or copies it any more, and run the command again',
    })
  }
  return { digests, head, skippedBytes, writtenBytes: image.sizeBytes - skippedBytes }
}

async function compareBody(
  digests: readonly string[],
  device: Device,
  task: Task,
  signal: AbortSignal,
): Promise<void> {
  const buffer = alignedBuffer(chunkBytes)
  for (const [n, digest] of digests.entries()) {
    signal.throwIfAborted()
    const position = n * chunkBytes
    const chunk = buffer.subarray(0, Math.min(chunkBytes, device.imageBytes - position))
    await device.read(chunk, position)
    if (hash('sha256', chunk) !== digest) throw differs(device.target, position)
    task.progress(position + chunk.byteLength, device.imageBytes, 'bytes')
  }
  if (!(await device.isTailZero())) throw differs(device.target, device.target.sizeBytes - tailBytes)
}

function differs(target: Target, position: number): UserError {
  return new UserError(
    `what ${target.path} gives back is not what was written: it differs within the 4 MiB from byte ${position}`,
    { hint: 'the card is worn or smaller than it says, or the reader is bad: take another one' },
  )
}

/** The target with errors that tell what was being done, and where. */
class Device {
  readonly target: Target
  readonly imageBytes: number
  /** Something was written, or may have been. */
  touched = false
  readonly #spare = alignedBuffer(chunkBytes)

  constructor(target: Target, imageBytes: number) {
    this.target = target
    this.imageBytes = imageBytes
  }

  /** Nothing starts from the device, and no older table is found on it. */
  async empty(): Promise<void> {
    const zeros = this.#spare.fill(0)
    await this.write(zeros.subarray(0, headBytes), 0)
    const { offset, sizeBytes } = this.#tail()
    await this.write(zeros.subarray(0, sizeBytes), offset)
    await this.sync()
  }

  async isTailZero(): Promise<boolean> {
    const { offset, sizeBytes } = this.#tail()
    return this.isZero(sizeBytes, offset)
  }

  /** Behind the image: a target may be no larger than it. */
  #tail() {
    const offset = Math.max(this.imageBytes, this.target.sizeBytes - tailBytes)
    return { offset, sizeBytes: this.target.sizeBytes - offset }
  }

  async isZero(sizeBytes: number, position: number): Promise<boolean> {
    const there = this.#spare.subarray(0, sizeBytes)
    await this.read(there, position)
    return isZero(there)
  }

  async write(bytes: Buffer, position: number): Promise<void> {
    await this.#tell('written', position, async () => {
      this.touched = true
      for (let done = 0; done < bytes.byteLength; ) {
        const { bytesWritten } = await this.target.file.write(
          bytes,
          done,
          bytes.byteLength - done,
          position + done,
        )
        if (bytesWritten === 0) throw new UserError(this.#ends(position + done))
        done += bytesWritten
      }
      // With a cache in between the progress would be a lie, and the memory full of what nobody reads again.
      if (!this.target.uncached) await this.target.file.datasync()
    })
  }

  async read(into: Buffer, position: number): Promise<void> {
    await this.#tell('read back', position, async () => {
      for (let done = 0; done < into.byteLength; ) {
        const { bytesRead } = await this.target.file.read(into, done, into.byteLength - done, position + done)
        if (bytesRead === 0) throw new UserError(this.#ends(position + done))
        done += bytesRead
      }
    })
  }

  async sync(): Promise<void> {
    await this.#tell('written', undefined, async () => {
      await this.target.file.sync().catch((error: NodeJS.ErrnoException) => {
        // macOS' raw devices have nothing to write out, and say so with this.
        if (!['ENOTTY', 'ENOTSUP'].includes(error.code ?? '')) throw error
      })
    })
  }

  async close(): Promise<void> {
    await this.#tell('written', undefined, () => this.target.file.close())
  }

  #ends(position: number): string {
    return `${this.target.path} ends at byte ${position}: it was pulled out, or is smaller than it says`
  }

  async #tell(doing: string, position: number | undefined, work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      if (error instanceof UserError) throw error
      const where = position === undefined ? '' : ` at ${(position / 1e6).toFixed(0)} MB`
      throw new UserError(
        `${this.target.path} could not be ${doing}${where}: ${describeDeviceError(error as NodeJS.ErrnoException, this.target)}`,
        { cause: error },
      )
    }
  }
}

async function readImage(source: FileHandle, into: Buffer, position: number, path: string): Promise<void> {
  for (let done = 0; done < into.byteLength; ) {
    const { bytesRead } = await source
      .read(into, done, into.byteLength - done, position + done)
      .catch((error: Error) => {
        throw new UserError(`the image ${path} cannot be read: ${error.message}`, { cause: error })
      })
    if (bytesRead === 0) throw new UserError(`the image ${path} became shorter while it was written`)
    done += bytesRead
  }
}

/** Replaces what the patches say within one chunk of the image. Pure, but for the chunk. */
export function applyPatches(chunk: Buffer, position: number, patches: readonly Patch[]): void {
  for (const { offsetBytes, bytes } of patches) {
    const from = Math.max(offsetBytes, position)
    const to = Math.min(offsetBytes + bytes.byteLength, position + chunk.byteLength)
    if (from < to) bytes.copy(chunk, from - position, from - offsetBytes, to - offsetBytes)
  }
}

const zeros = Buffer.alloc(chunkBytes)

function isZero(bytes: Buffer): boolean {
  return bytes.equals(zeros.subarray(0, bytes.byteLength))
}

async function taskDone<T>(task: Task, work: () => Promise<T>): Promise<T> {
  try {
    const result = await work()
    task.done()
    return result
  } catch (error) {
    task.failed()
    throw error
  }
}
