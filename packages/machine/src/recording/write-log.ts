/**
 * The log of a recorded machine, as QEMU's `blklogwrites` writes it: the format of Linux' dm-log-writes
 * (drivers/md/dm-log-writes.c, block/blklogwrites.c). A superblock, then entries of one log sector each, the bytes of a
 * write behind its entry. An entry is written when its request is done, so the order is that of completion.
 */
import { type FileHandle, open } from 'node:fs/promises'
import { MachineError } from '../errors.ts'

export interface LogEntry {
  /** Place in the log, from 0. */
  readonly index: number
  /** A discard is a write of zeros of which a disk may do any part. */
  readonly kind: 'write' | 'discard' | 'flush'
  /** On the recorded bytes, system disk first, card behind it. 0 for a flush. */
  readonly offsetBytes: number
  readonly sizeBytes: number
  /** Durable when it is done, without a flush. */
  readonly fua: boolean
  /** Where the bytes of a write begin in the log; of everything else, where its entry ends. */
  readonly dataOffset: number
}

const magic = 0x6a736677736872n
const flags = { flush: 1, fua: 2, discard: 4, mark: 8 } as const
const allFlags = flags.flush | flags.fua | flags.discard | flags.mark
const superBytes = 28
const entryBytes = 32

/** Reads `sizeBytes` at `offsetBytes` of the log, fewer at its end. */
export type ReadLog = (offsetBytes: number, sizeBytes: number) => Promise<Buffer>

/**
 * All entries that the superblock vouches for (QEMU counts them at each flush and when it ends), without their bytes.
 * Throws MachineError with the place of what is wrong.
 */
export async function parseWriteLog(read: ReadLog): Promise<LogEntry[]> {
  const head = await read(0, superBytes)
  if (head.length < superBytes || head.readBigUInt64LE(0) !== magic) {
    throw new MachineError('this is no log of writes: it does not begin with the magic number', {
      hint: 'QEMU writes it at the first flush; was the machine started and stopped in order?',
    })
  }
  if (head.readBigUInt64LE(8) !== 1n) {
    throw new MachineError(`the log of writes has version ${head.readBigUInt64LE(8)}, only 1 is known`)
  }
  const count = Number(head.readBigUInt64LE(16))
  const sectorBytes = head.readUInt32LE(24)
  const entries: LogEntry[] = []
  let at = sectorBytes
  for (let index = 0; index < count; index++) {
    const entry = parseEntry(await read(at, entryBytes), { index, at, sectorBytes })
    entries.push(entry)
    at = entry.dataOffset + (entry.kind === 'write' ? entry.sizeBytes : 0)
  }
  return entries
}

function parseEntry(
  bytes: Buffer,
  { index, at, sectorBytes }: { index: number; at: number; sectorBytes: number },
): LogEntry {
  const where = `entry ${index} of the log of writes, at byte ${at}`
  if (bytes.length < entryBytes) throw new MachineError(`${where}: the log ends here`)
  const flag = Number(bytes.readBigUInt64LE(16))
  if ((flag & ~allFlags) !== 0) throw new MachineError(`${where}: unknown flags 0x${flag.toString(16)}`)
  const offsetBytes = Number(bytes.readBigUInt64LE(0)) * sectorBytes
  const sizeBytes = Number(bytes.readBigUInt64LE(8)) * sectorBytes
  const dataOffset = at + sectorBytes
  const rest = { index, offsetBytes, sizeBytes, fua: (flag & flags.fua) !== 0, dataOffset }
  if ((flag & flags.mark) !== 0) throw new MachineError(`${where}: a mark, which QEMU does not write`)
  if ((flag & flags.discard) !== 0) return { ...rest, kind: 'discard' }
  if (sizeBytes === 0) {
    if ((flag & flags.flush) !== 0) return { ...rest, kind: 'flush' }
    throw new MachineError(`${where}: a write of nothing`)
  }
  return { ...rest, kind: 'write' }
}

/** The log file, read in large pieces for the entries and exactly for the bytes. */
export class WriteLog implements AsyncDisposable {
  readonly #file: FileHandle
  readonly entries: readonly LogEntry[]

  private constructor(file: FileHandle, entries: readonly LogEntry[]) {
    this.#file = file
    this.entries = entries
  }

  /** Throws MachineError, and what the file system says. */
  static async open(path: string): Promise<WriteLog> {
    const file = await open(path, 'r')
    try {
      const read: ReadLog = async (offsetBytes, sizeBytes) => {
        const { buffer, bytesRead } = await file.read(Buffer.alloc(sizeBytes), 0, sizeBytes, offsetBytes)
        return buffer.subarray(0, bytesRead)
      }
      return new WriteLog(file, await parseWriteLog(read))
    } catch (error) {
      await file.close()
      throw error
    }
  }

  /** A part of what an entry puts on the disk. */
  async bytes(entry: LogEntry, from = 0, sizeBytes = entry.sizeBytes - from): Promise<Buffer> {
    const buffer = Buffer.alloc(sizeBytes)
    if (entry.kind !== 'write') return buffer
    const { bytesRead } = await this.#file.read(buffer, 0, sizeBytes, entry.dataOffset + from)
    if (bytesRead !== sizeBytes) {
      throw new MachineError(`the log of writes ends in the middle of the bytes of entry ${entry.index}`)
    }
    return buffer
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close()
  }
}
