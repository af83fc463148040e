/** For tests: the smallest ELF file with an interpreter and a dynamic section. */
export function makeElf(options: { interpreter?: string; needed?: string[]; runpath?: string }): Uint8Array {
  const { interpreter, needed = [], runpath } = options
  const headerBytes = 64 + 3 * 56
  const strings = ['', ...needed, ...(runpath === undefined ? [] : [runpath])]
  const stringTable = Buffer.from(`${strings.join('\0')}\0`)
  const offsetOf = (text: string) =>
    Buffer.from(strings.slice(0, strings.indexOf(text)).join('\0')).byteLength + 1
  const entries: [number, number][] = [
    ...needed.map((name): [number, number] => [1, offsetOf(name)]),
    ...(runpath === undefined ? [] : [[29, offsetOf(runpath)] as [number, number]]),
  ]
  const interpreterBytes = Buffer.from(interpreter === undefined ? '' : `${interpreter}\0`)
  const interpreterAt = headerBytes
  const stringsAt = interpreterAt + interpreterBytes.byteLength
  const dynamicAt = stringsAt + stringTable.byteLength
  // Loaded at another address than its place in the file, as real ones are.
  const base = 0x10000
  const dynamic = [...entries, [5, base + stringsAt], [10, stringTable.byteLength], [0, 0]] as const
  const file = Buffer.alloc(dynamicAt + dynamic.length * 16)
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1])
  file.writeUInt16LE(3, 16)
  file.writeUInt16LE(183, 18)
  file.writeBigUInt64LE(64n, 32)
  file.writeUInt16LE(56, 54)
  file.writeUInt16LE(3, 56)
  const segments = [
    [1, 0, base, file.byteLength],
    [2, dynamicAt, base + dynamicAt, dynamic.length * 16],
    // Type 0 is a segment to be ignored.
    [interpreter === undefined ? 0 : 3, interpreterAt, base + interpreterAt, interpreterBytes.byteLength],
  ] as const
  segments.forEach(([type, offset, address, size], index) => {
    const at = 64 + index * 56
    file.writeUInt32LE(type, at)
    file.writeBigUInt64LE(BigInt(offset), at + 8)
    file.writeBigUInt64LE(BigInt(address), at + 16)
    file.writeBigUInt64LE(BigInt(size), at + 32)
  })
  interpreterBytes.copy(file, interpreterAt)
  stringTable.copy(file, stringsAt)
  dynamic.forEach(([tag, value], index) => {
    file.writeBigInt64LE(BigInt(tag), dynamicAt + index * 16)
    file.writeBigUInt64LE(BigInt(value), dynamicAt + index * 16 + 8)
  })
  return file
}
