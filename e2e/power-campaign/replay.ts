/**
 * The recorded machine's disk and card at a place in the log, as files: writes are applied in the order of the log, and
 * those of a cut are taken back after the look at it.
 */
import { type FileHandle, open, truncate } from 'node:fs/promises'
import type { LogEntry, Range, WriteLog } from '@atomixos/machine'

const sector = 512
const chunkBytes = 1024 * 1024

/** An image that a partition holds or is to hold: how far it is there is counted with every write. */
export interface ExpectedImage {
  readonly name: string
  readonly path: string
  readonly offsetBytes: number
  readonly sizeBytes: number
}

export interface ReplayOptions {
  /** Holds what was on the disk at power-on, up to `dataOffsetBytes`; is written. */
  readonly lowPath: string
  /** Made: the disk from `dataOffsetBytes` to its end, a file of its own so that /data can be checked as a device. */
  readonly dataPath: string
  readonly dataOffsetBytes: number
  readonly systemBytes: number
  readonly cardBytes: number
  readonly expected: readonly ExpectedImage[]
}

interface Watched extends ExpectedImage {
  readonly file: FileHandle
  wrongSectors: number
}

interface Old {
  readonly offsetBytes: number
  readonly bytes: Buffer
}

export class ReplayedDisk implements AsyncDisposable {
  readonly card: Buffer
  readonly #options: ReplayOptions
  readonly #low: FileHandle
  readonly #data: FileHandle
  readonly #watched: Watched[] = []
  /** Numbers of the pieces of the data file that are not all zeros. */
  readonly #dataChunks = new Set<number>()
  #journal: Old[] | undefined

  private constructor(options: ReplayOptions, low: FileHandle, data: FileHandle) {
    this.#options = options
    this.#low = low
    this.#data = data
    this.card = Buffer.alloc(options.cardBytes)
  }

  static async open(options: ReplayOptions): Promise<ReplayedDisk> {
    const data = await open(options.dataPath, 'w+')
    await truncate(options.dataPath, options.systemBytes - options.dataOffsetBytes)
    const disk = new ReplayedDisk(options, await open(options.lowPath, 'r+'), data)
    try {
      for (const image of options.expected) {
        const watched = { ...image, file: await open(image.path, 'r'), wrongSectors: 0 }
        disk.#watched.push(watched)
        for (let at = 0; at < image.sizeBytes; at += chunkBytes) {
          const size = Math.min(chunkBytes, image.sizeBytes - at)
          const found = await disk.read(image.offsetBytes + at, size)
          watched.wrongSectors += differingSectors(found, await readAt(watched.file, at, size))
        }
      }
    } catch (error) {
      await disk[Symbol.asyncDispose]()
      throw error
    }
    return disk
  }

  /** From system disk and card as the log counts: the card is behind the disk. */
  async read(offsetBytes: number, sizeBytes: number): Promise<Buffer> {
    const { systemBytes, dataOffsetBytes } = this.#options
    if (offsetBytes >= systemBytes) {
      const from = offsetBytes - systemBytes
      return Buffer.from(this.card.subarray(from, from + sizeBytes))
    }
    if (offsetBytes >= dataOffsetBytes) return readAt(this.#data, offsetBytes - dataOffsetBytes, sizeBytes)
    const inLow = Math.min(sizeBytes, dataOffsetBytes - offsetBytes)
    const low = await readAt(this.#low, offsetBytes, inLow)
    if (inLow === sizeBytes) return low
    return Buffer.concat([low, await readAt(this.#data, 0, sizeBytes - inLow)])
  }

  wrongSectors(name: string): number {
    return this.#watched.find((image) => image.name === name)!.wrongSectors
  }

  /** Gives how many sectors differ from what was there. */
  async apply(log: WriteLog, entry: LogEntry, ranges?: readonly Range[]): Promise<number> {
    let changed = 0
    for (const { from, sizeBytes } of ranges ?? [{ from: 0, sizeBytes: entry.sizeBytes }]) {
      for (let done = 0; done < sizeBytes; done += chunkBytes) {
        const size = Math.min(chunkBytes, sizeBytes - done)
        changed += await this.#write(
          entry.offsetBytes + from + done,
          await log.bytes(entry, from + done, size),
        )
      }
    }
    return changed
  }

  /** What is applied from now on is taken back by `rollback`. */
  begin(): void {
    this.#journal = []
  }

  async rollback(): Promise<void> {
    const journal = this.#journal ?? []
    this.#journal = undefined
    for (const { offsetBytes, bytes } of journal.reverse()) await this.#write(offsetBytes, bytes)
  }

  /** The whole system disk as one sparse file; `lowCopy` is a copy of the low file. */
  async writeSystemDisk(lowCopy: string): Promise<void> {
    const { systemBytes, dataOffsetBytes } = this.#options
    await truncate(lowCopy, systemBytes)
    const file = await open(lowCopy, 'r+')
    try {
      for (const chunk of [...this.#dataChunks].sort((a, b) => a - b)) {
        const at = chunk * chunkBytes
        const size = Math.min(chunkBytes, systemBytes - dataOffsetBytes - at)
        await writeAt(file, dataOffsetBytes + at, await readAt(this.#data, at, size))
      }
    } finally {
      await file.close()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#low, this.#data, ...this.#watched.map(({ file }) => file)].map((f) => f.close()))
  }

  async #write(offsetBytes: number, bytes: Buffer): Promise<number> {
    const old = await this.read(offsetBytes, bytes.length)
    const changed = differingSectors(old, bytes)
    if (changed === 0) return 0
    this.#journal?.push({ offsetBytes, bytes: old })
    const { systemBytes, dataOffsetBytes } = this.#options
    if (offsetBytes >= systemBytes) {
      this.card.set(bytes, offsetBytes - systemBytes)
      return changed
    }
    for (const image of this.#watched) await recount(image, offsetBytes, old, bytes)
    const inLow = Math.max(0, Math.min(bytes.length, dataOffsetBytes - offsetBytes))
    if (inLow > 0) await writeAt(this.#low, offsetBytes, bytes.subarray(0, inLow))
    if (inLow < bytes.length) {
      const from = offsetBytes + inLow - dataOffsetBytes
      await writeAt(this.#data, from, bytes.subarray(inLow))
      const last = Math.floor((from + bytes.length - inLow - 1) / chunkBytes)
      for (let chunk = Math.floor(from / chunkBytes); chunk <= last; chunk++) this.#dataChunks.add(chunk)
    }
    return changed
  }
}

async function recount(image: Watched, offsetBytes: number, old: Buffer, now: Buffer): Promise<void> {
  const from = Math.max(offsetBytes, image.offsetBytes)
  const to = Math.min(offsetBytes + now.length, image.offsetBytes + image.sizeBytes)
  if (from >= to) return
  const expected = await readAt(image.file, from - image.offsetBytes, to - from)
  const part = (bytes: Buffer) => bytes.subarray(from - offsetBytes, to - offsetBytes)
  image.wrongSectors += differingSectors(part(now), expected) - differingSectors(part(old), expected)
}

/** How many sectors of two equally long pieces are not the same. */
export function differingSectors(one: Buffer, other: Buffer): number {
  if (one.equals(other)) return 0
  let count = 0
  for (let at = 0; at < one.length; at += sector) {
    const end = Math.min(at + sector, one.length)
    if (one.compare(other, at, end, at, end) !== 0) count++
  }
  return count
}

async function readAt(file: FileHandle, offsetBytes: number, sizeBytes: number): Promise<Buffer> {
  const buffer = Buffer.alloc(sizeBytes)
  // What is behind the end of the file is a hole of the disk.
  for (let done = 0; done < sizeBytes; ) {
    const { bytesRead } = await file.read(buffer, done, sizeBytes - done, offsetBytes + done)
    if (bytesRead === 0) break
    done += bytesRead
  }
  return buffer
}

async function writeAt(file: FileHandle, offsetBytes: number, bytes: Buffer): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, offsetBytes + done)
    done += bytesWritten
  }
}
