/** GUID partition tables, read only: UEFI 2.10, section 5.3. Checksums are checked, the backup is used when needed. */
import { crc32 } from 'node:zlib'
import { MachineError } from '../errors.ts'
import type { Partition } from '../types.ts'

const sectorBytes = 512
const signature = 'EFI PART'

export type ReadSectors = (offsetBytes: number, sizeBytes: number) => Promise<Buffer>

/** @throws MachineError with what is wrong with both copies. */
export async function readPartitions(read: ReadSectors, diskBytes: number): Promise<Partition[]> {
  const problems: string[] = []
  for (const [copy, lba] of [
    ['primary', 1],
    ['backup', diskBytes / sectorBytes - 1],
  ] as const) {
    const result = await readTable(read, lba)
    if (typeof result !== 'string') return result
    problems.push(`${copy} table: ${result}`)
  }
  throw new MachineError(`no valid GPT: ${problems.join('; ')}`)
}

async function readTable(read: ReadSectors, lba: number): Promise<Partition[] | string> {
  const header = await read(lba * sectorBytes, sectorBytes)
  if (header.toString('latin1', 0, 8) !== signature) return 'no signature'
  const headerBytes = header.readUInt32LE(12)
  if (headerBytes < 92 || headerBytes > sectorBytes) return `header of ${headerBytes} bytes`
  const checked = Buffer.from(header.subarray(0, headerBytes))
  checked.writeUInt32LE(0, 16)
  if (crc32(checked) !== header.readUInt32LE(16)) return 'wrong header checksum'
  if (Number(header.readBigUInt64LE(24)) !== lba) return 'header of another place'

  const count = header.readUInt32LE(80)
  const entryBytes = header.readUInt32LE(84)
  const entries = await read(Number(header.readBigUInt64LE(72)) * sectorBytes, count * entryBytes)
  if (crc32(entries) !== header.readUInt32LE(88)) return 'wrong checksum of the entries'
  const partitions: Partition[] = []
  for (let index = 0; index < count; index++) {
    const entry = entries.subarray(index * entryBytes, (index + 1) * entryBytes)
    const typeId = guid(entry.subarray(0, 16))
    if (/^[0-]+$/.test(typeId)) continue
    const first = Number(entry.readBigUInt64LE(32))
    const last = Number(entry.readBigUInt64LE(40))
    partitions.push({
      number: index + 1,
      label: entry.toString('utf16le', 56, 128).replace(/\0.*$/s, ''),
      typeId,
      id: guid(entry.subarray(16, 32)),
      offsetBytes: first * sectorBytes,
      sizeBytes: (last - first + 1) * sectorBytes,
    })
  }
  return partitions
}

/** Mixed-endian, as Microsoft defined it and UEFI kept it. */
function guid(bytes: Buffer): string {
  const hex = (from: number, to: number) => bytes.toString('hex', from, to)
  const reversed = (from: number, to: number) =>
    Buffer.from(bytes.subarray(from, to)).reverse().toString('hex')
  return `${reversed(0, 4)}-${reversed(4, 6)}-${reversed(6, 8)}-${hex(8, 10)}-${hex(10, 16)}`
}
