/** What the dynamic linker would look at. Little-endian 64-bit only: all there is on arm64 and x86-64. */
export interface ElfFile {
  /** ELF's e_machine: 183 is AArch64, 62 x86-64. */
  readonly machine: number
  readonly interpreter: string | undefined
  readonly needed: readonly string[]
  readonly runpath: readonly string[]
}

export const elfMagic = [0x7f, 0x45, 0x4c, 0x46] as const

/** Reads `sizeBytes` of the file from `offsetBytes`; fewer at its end. */
export type ReadAt = (offsetBytes: number, sizeBytes: number) => Promise<Uint8Array>

interface Segment {
  readonly type: number
  readonly offset: number
  readonly address: number
  readonly size: number
}

const segmentType = { load: 1, dynamic: 2, interpreter: 3 } as const
const tag = { end: 0, needed: 1, stringTable: 5, stringTableSize: 10, rpath: 15, runpath: 29 } as const

/** The dynamic section of an executable or shared object; undefined for what is no such ELF file. */
export async function readElf(read: ReadAt): Promise<ElfFile | undefined> {
  const header = view(await read(0, 64))
  if (header.byteLength < 64 || elfMagic.some((byte, index) => header.getUint8(index) !== byte))
    return undefined
  const is64BitLittleEndian = header.getUint8(4) === 2 && header.getUint8(5) === 1
  const kind = header.getUint16(16, true)
  if (!is64BitLittleEndian || (kind !== 2 && kind !== 3)) return undefined
  const segments = await readSegments(read, header)
  const interpreter = segments.find(({ type }) => type === segmentType.interpreter)
  const dynamic = segments.find(({ type }) => type === segmentType.dynamic)
  const entries = dynamic === undefined ? [] : parseDynamic(view(await read(dynamic.offset, dynamic.size)))
  const value = (wanted: number) => entries.find((entry) => entry.tag === wanted)?.value
  const table = value(tag.stringTable)
  const tableSize = value(tag.stringTableSize)
  const strings =
    table === undefined || tableSize === undefined
      ? new Uint8Array()
      : await read(fileOffset(segments, table), tableSize)
  const texts = (wanted: number) =>
    entries.filter((entry) => entry.tag === wanted).map((entry) => text(strings, entry.value))
  return {
    machine: header.getUint16(18, true),
    interpreter:
      interpreter === undefined ? undefined : text(await read(interpreter.offset, interpreter.size), 0),
    needed: texts(tag.needed),
    runpath: [...texts(tag.rpath), ...texts(tag.runpath)].flatMap((path) => path.split(':')),
  }
}

async function readSegments(read: ReadAt, header: DataView): Promise<Segment[]> {
  const offset = Number(header.getBigUint64(32, true))
  const entrySize = header.getUint16(54, true)
  const count = header.getUint16(56, true)
  const table = view(await read(offset, entrySize * count))
  return Array.from({ length: count }, (_, index) => {
    const at = index * entrySize
    return {
      type: table.getUint32(at, true),
      offset: Number(table.getBigUint64(at + 8, true)),
      address: Number(table.getBigUint64(at + 16, true)),
      size: Number(table.getBigUint64(at + 32, true)),
    }
  })
}

function parseDynamic(section: DataView): { tag: number; value: number }[] {
  const entries = []
  for (let at = 0; at + 16 <= section.byteLength; at += 16) {
    const entry = {
      tag: Number(section.getBigInt64(at, true)),
      value: Number(section.getBigUint64(at + 8, true)),
    }
    if (entry.tag === tag.end) break
    entries.push(entry)
  }
  return entries
}

function fileOffset(segments: readonly Segment[], address: number): number {
  const segment = segments.find(
    ({ type, address: start, size }) =>
      type === segmentType.load && address >= start && address < start + size,
  )
  return segment === undefined ? address : address - segment.address + segment.offset
}

function text(bytes: Uint8Array, at: number): string {
  const end = bytes.indexOf(0, at)
  return Buffer.from(bytes.subarray(at, end < 0 ? undefined : end)).toString('utf8')
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
