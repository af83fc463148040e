import { open } from 'node:fs/promises'
import { crc32 } from 'node:zlib'
import { sectorBytes } from '@atomixos/config'
import { UserError } from '../errors.ts'
import { decodeEntries, decodeHeader, type Gpt } from './gpt.ts'

export interface FoundGpt extends Gpt {
  readonly lastUsableBytes: number
  /** Whether each of the two copies is there with right checksums; at least one is. */
  readonly copies: { readonly primary: boolean; readonly backup: boolean }
  /** The backup is in the disk's last sector, where firmware looks for it when the primary is damaged. */
  readonly backupAtEnd: boolean
}

/** Reads a disk's or an image's partition table, the primary if it is good. Throws UserError when there is none. */
export async function readGpt(path: string): Promise<FoundGpt> {
  await using file = await open(path, 'r')
  const read = async (offset: number, length: number) => {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, offset)
    return buffer.subarray(0, bytesRead)
  }
  const diskBytes = await diskSize(file)
  const readCopy = async (sector: number) => {
    // Of a file that has no sector but the first, if that.
    if (sector < 1) return undefined
    const bytes = await read(sector * sectorBytes, sectorBytes)
    const header = bytes.byteLength === sectorBytes ? decodeHeader(bytes) : undefined
    if (header === undefined || header.ownSector !== sector) return undefined
    const entries = await read(header.entriesSector * sectorBytes, header.entriesBytes)
    return crc32(entries) === header.entriesCrc ? { header, entries } : undefined
  }
  const lastSector = Math.floor(diskBytes / sectorBytes) - 1
  const primary = await readCopy(1)
  const backupSector = primary?.header.otherSector ?? lastSector
  const backup = await readCopy(backupSector)
  const copy = primary ?? backup
  if (copy === undefined) throw new UserError(`${path} has no GUID partition table`)
  return {
    diskId: copy.header.diskId,
    diskBytes,
    firstUsableBytes: copy.header.firstUsableSector * sectorBytes,
    lastUsableBytes: (copy.header.lastUsableSector + 1) * sectorBytes,
    partitions: decodeEntries(copy.entries),
    copies: { primary: primary !== undefined, backup: backup !== undefined },
    backupAtEnd: backupSector === lastSector,
  }
}

/** Of a file or of a block device, whose stat says 0. */
async function diskSize(file: Awaited<ReturnType<typeof open>>): Promise<number> {
  const { size } = await file.stat()
  if (size > 0) return size
  throw new UserError('only disk images can be read, not devices')
}
