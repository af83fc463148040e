import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { sectorBytes } from '@atomixos/config'

/** The GUID partition table of UEFI, as bytes and as a value. Pure: `read-gpt.ts` and `write-disk.ts` touch files. */
export interface Gpt {
  /** GUIDs are lower case, as `sfdisk --json` and udev write them, less their case. */
  readonly diskId: string
  readonly diskBytes: number
  /** Nothing may be put before: the boot firmware lies between the table and the first partition. */
  readonly firstUsableBytes: number
  readonly partitions: readonly GptPartition[]
}

export interface GptPartition {
  /** 1-based. */
  readonly number: number
  readonly label: string
  readonly typeId: string
  readonly id: string
  readonly offsetBytes: number
  readonly sizeBytes: number
  /** Bits as in the specification; 1 << 2 is "legacy BIOS bootable". */
  readonly attributes: bigint
}

const entryBytes = 128
const entryCount = 128
const entriesSectors = (entryBytes * entryCount) / sectorBytes
const headerBytes = 92
const signature = 'EFI PART'

/** At the start: protective MBR, header, entries. */
export const primaryGptBytes = (2 + entriesSectors) * sectorBytes
/** At the end: entries, header. */
export const backupGptBytes = (1 + entriesSectors) * sectorBytes

/** The table's bytes for both ends of the disk. Throws RangeError for what a disk cannot be. */
export function encodeGpt(gpt: Gpt): { readonly primary: Uint8Array; readonly backup: Uint8Array } {
  refuseImpossible(gpt)
  const entries = Buffer.alloc(entryBytes * entryCount)
  for (const partition of gpt.partitions) {
    encodeEntry(partition).copy(entries, (partition.number - 1) * entryBytes)
  }
  const lastSector = gpt.diskBytes / sectorBytes - 1
  const header = (ownSector: number, otherSector: number, entriesSector: number) =>
    encodeHeader(gpt, { ownSector, otherSector, entriesSector, entriesCrc: crc32(entries) })
  return {
    primary: Buffer.concat([protectiveMbr(lastSector), header(1, lastSector, 2), entries]),
    backup: Buffer.concat([entries, header(lastSector, 1, lastSector - entriesSectors)]),
  }
}

function refuseImpossible({ diskBytes, firstUsableBytes, partitions }: Gpt): void {
  const numbers = new Set<number>()
  let end = Math.max(firstUsableBytes, primaryGptBytes)
  for (const { label, number, offsetBytes, sizeBytes } of partitions.toSorted(
    (a, b) => a.offsetBytes - b.offsetBytes,
  )) {
    if (number < 1 || number > entryCount || numbers.has(number))
      throw new RangeError(`${label}: number ${number}`)
    if (offsetBytes % sectorBytes !== 0 || sizeBytes % sectorBytes !== 0 || sizeBytes <= 0) {
      throw new RangeError(`${label}: not whole sectors`)
    }
    if (offsetBytes < end) throw new RangeError(`${label} begins at ${offsetBytes}, before ${end}`)
    numbers.add(number)
    end = offsetBytes + sizeBytes
  }
  if (end + backupGptBytes > diskBytes) throw new RangeError(`the disk of ${diskBytes} bytes ends too early`)
}

/** One entry of type 0xEE over the whole disk, so that tools which know no GPT see no free space. */
function protectiveMbr(lastSector: number): Buffer {
  const mbr = Buffer.alloc(sectorBytes)
  mbr.set([0x00, 0x00, 0x02, 0x00, 0xee, 0xff, 0xff, 0xff], 446)
  mbr.writeUInt32LE(1, 454)
  mbr.writeUInt32LE(Math.min(lastSector, 0xffffffff), 458)
  mbr.set([0x55, 0xaa], 510)
  return mbr
}

function encodeHeader(
  gpt: Gpt,
  at: { ownSector: number; otherSector: number; entriesSector: number; entriesCrc: number },
): Buffer {
  const header = Buffer.alloc(sectorBytes)
  header.write(signature, 0, 'latin1')
  header.writeUInt32LE(0x00010000, 8)
  header.writeUInt32LE(headerBytes, 12)
  header.writeBigUInt64LE(BigInt(at.ownSector), 24)
  header.writeBigUInt64LE(BigInt(at.otherSector), 32)
  header.writeBigUInt64LE(BigInt(gpt.firstUsableBytes / sectorBytes), 40)
  header.writeBigUInt64LE(BigInt((gpt.diskBytes - backupGptBytes) / sectorBytes - 1), 48)
  encodeGuid(gpt.diskId).copy(header, 56)
  header.writeBigUInt64LE(BigInt(at.entriesSector), 72)
  header.writeUInt32LE(entryCount, 80)
  header.writeUInt32LE(entryBytes, 84)
  header.writeUInt32LE(at.entriesCrc, 88)
  header.writeUInt32LE(crc32(header.subarray(0, headerBytes)), 16)
  return header
}

function encodeEntry({ label, typeId, id, offsetBytes, sizeBytes, attributes }: GptPartition): Buffer {
  const entry = Buffer.alloc(entryBytes)
  encodeGuid(typeId).copy(entry, 0)
  encodeGuid(id).copy(entry, 16)
  entry.writeBigUInt64LE(BigInt(offsetBytes / sectorBytes), 32)
  entry.writeBigUInt64LE(BigInt((offsetBytes + sizeBytes) / sectorBytes - 1), 40)
  entry.writeBigUInt64LE(attributes, 48)
  const name = Buffer.from(label, 'utf16le')
  if (name.byteLength > 72) throw new RangeError(`the label ${label} has more than 36 characters`)
  name.copy(entry, 56)
  return entry
}

export interface GptHeader {
  readonly diskId: string
  readonly ownSector: number
  readonly otherSector: number
  readonly firstUsableSector: number
  readonly lastUsableSector: number
  readonly entriesSector: number
  readonly entriesBytes: number
  readonly entriesCrc: number
}

/** undefined for anything that is not a header with a right checksum. */
export function decodeHeader(sector: Buffer): GptHeader | undefined {
  if (sector.toString('latin1', 0, 8) !== signature || sector.readUInt32LE(12) !== headerBytes)
    return undefined
  const checked = Buffer.from(sector.subarray(0, headerBytes))
  checked.writeUInt32LE(0, 16)
  if (crc32(checked) !== sector.readUInt32LE(16) || sector.readUInt32LE(84) !== entryBytes) return undefined
  return {
    diskId: decodeGuid(sector, 56),
    ownSector: Number(sector.readBigUInt64LE(24)),
    otherSector: Number(sector.readBigUInt64LE(32)),
    firstUsableSector: Number(sector.readBigUInt64LE(40)),
    lastUsableSector: Number(sector.readBigUInt64LE(48)),
    entriesSector: Number(sector.readBigUInt64LE(72)),
    entriesBytes: sector.readUInt32LE(80) * entryBytes,
    entriesCrc: sector.readUInt32LE(88),
  }
}

/** In the order of their numbers; empty entries are left out. */
export function decodeEntries(entries: Buffer): GptPartition[] {
  const partitions: GptPartition[] = []
  for (let number = 1; number * entryBytes <= entries.byteLength; number += 1) {
    const entry = entries.subarray((number - 1) * entryBytes, number * entryBytes)
    const typeId = decodeGuid(entry, 0)
    if (typeId === '00000000-0000-0000-0000-000000000000') continue
    const firstSector = Number(entry.readBigUInt64LE(32))
    partitions.push({
      number,
      label: entry.toString('utf16le', 56).split('\0', 1)[0]!,
      typeId,
      id: decodeGuid(entry, 16),
      offsetBytes: firstSector * sectorBytes,
      sizeBytes: (Number(entry.readBigUInt64LE(40)) - firstSector + 1) * sectorBytes,
      attributes: entry.readBigUInt64LE(48),
    })
  }
  return partitions
}

/** The first three fields are little-endian on disk, the last two are bytes in reading order. */
function encodeGuid(text: string): Buffer {
  const hex = text.replaceAll('-', '')
  if (!/^[0-9a-f]{32}$/.test(hex)) throw new RangeError(`${text} is not a GUID`)
  return swapGuid(Buffer.from(hex, 'hex'))
}

function decodeGuid(bytes: Buffer, offset: number): string {
  const hex = swapGuid(Buffer.from(bytes.subarray(offset, offset + 16))).toString('hex')
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

function swapGuid(bytes: Buffer): Buffer {
  bytes.subarray(0, 4).swap32()
  bytes.subarray(4, 6).swap16()
  bytes.subarray(6, 8).swap16()
  return bytes
}

/** A GUID that follows from its name (a version 8 UUID): equal for every build and every device. */
export function derivedGuid(...names: readonly string[]): string {
  const bytes = createHash('sha256').update(JSON.stringify(names)).digest().subarray(0, 16)
  bytes[6] = (bytes[6]! & 0x0f) | 0x80
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
