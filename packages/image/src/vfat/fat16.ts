import { UserError } from '../errors.ts'

/** Where the parts of a FAT16 file system are, in bytes from its start. */
export interface Fat16 {
  readonly fileSystemBytes: number
  readonly clusterBytes: number
  /** Offsets of the allocation tables, which are copies of each other. */
  readonly tableOffsets: readonly number[]
  readonly tableBytes: number
  readonly rootOffset: number
  readonly rootEntries: number
  /** Of cluster 2, the first one. */
  readonly dataOffset: number
  readonly clusterCount: number
}

export const bootSectorBytes = 512
export const directoryEntryBytes = 32
/** As FAT counts: tables of fewer clusters have 12 bits, of more 32. */
const clusters = { min: 4085, max: 65524 }

/**
 * Reads the first sector of a file system, by Microsoft's "FAT: General Overview of On-Disk Format". Throws UserError
 * for anything but FAT16.
 */
export function parseFat16(sector: Uint8Array, what: string): Fat16 {
  const refuse = (reason: string): never => {
    throw new UserError(`${what} has no FAT16 file system: ${reason}`, {
      hint: 'take an image as `./atomixos build` makes it',
    })
  }
  const view = Buffer.from(sector.buffer, sector.byteOffset, sector.byteLength)
  if (view.byteLength < bootSectorBytes || view.readUInt16LE(510) !== 0xaa55) refuse('no boot sector')
  const sectorBytes = view.readUInt16LE(11)
  const clusterSectors = view.readUInt8(13)
  const reservedSectors = view.readUInt16LE(14)
  const tables = view.readUInt8(16)
  const rootEntries = view.readUInt16LE(17)
  const sectors = view.readUInt16LE(19) || view.readUInt32LE(32)
  const tableSectors = view.readUInt16LE(22)
  if (sectorBytes !== 512) refuse(`sectors of ${sectorBytes} bytes`)
  if (clusterSectors === 0 || tables === 0 || tableSectors === 0 || rootEntries === 0) refuse('no tables')
  const rootSector = reservedSectors + tables * tableSectors
  const dataSector = rootSector + Math.ceil((rootEntries * directoryEntryBytes) / sectorBytes)
  const clusterCount = Math.floor((sectors - dataSector) / clusterSectors)
  if (clusterCount < clusters.min || clusterCount > clusters.max) refuse(`${clusterCount} clusters`)
  const tableBytes = tableSectors * sectorBytes
  if ((clusterCount + 2) * 2 > tableBytes) refuse('its table is too short')
  return {
    fileSystemBytes: sectors * sectorBytes,
    clusterBytes: clusterSectors * sectorBytes,
    tableOffsets: Array.from(
      { length: tables },
      (_, n) => (reservedSectors + n * tableSectors) * sectorBytes,
    ),
    tableBytes,
    rootOffset: rootSector * sectorBytes,
    rootEntries,
    dataOffset: dataSector * sectorBytes,
    clusterCount,
  }
}
