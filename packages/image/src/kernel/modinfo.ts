/**
 * What a kernel module says about itself: the `.modinfo` section of its ELF file, NUL-terminated `key=value`
 * strings. See elf(5) and the kernel's include/linux/moduleinfo.h, moduleparam.h.
 */
export interface ModuleInfo {
  readonly name: string
  /** Modules that must be there, by name. */
  readonly depends: readonly string[]
  /** Modules to load before or after this one when they exist (`softdep`), and ones it may ask for (`weakdep`). */
  readonly softDepends: readonly string[]
  readonly aliases: readonly string[]
}

export function parseModuleInfo(elf: Uint8Array): ModuleInfo {
  const fields = parseFields(section(elf, '.modinfo'))
  return {
    name: fields.get('name')?.[0] ?? '',
    depends: (fields.get('depends')?.[0] ?? '').split(',').filter(Boolean),
    softDepends: [
      ...(fields.get('softdep') ?? []).flatMap((text) =>
        text.split(/\s+/).filter((word) => !/:$|^$/.test(word)),
      ),
      ...(fields.get('weakdep') ?? []).flatMap((text) => text.split(/\s+/).filter(Boolean)),
    ],
    aliases: fields.get('alias') ?? [],
  }
}

function parseFields(bytes: Uint8Array): Map<string, string[]> {
  const fields = new Map<string, string[]>()
  for (const text of Buffer.from(bytes).toString('latin1').split('\0')) {
    const equals = text.indexOf('=')
    if (equals <= 0) continue
    const key = text.slice(0, equals)
    const value = text.slice(equals + 1)
    const known = fields.get(key)
    if (known === undefined) fields.set(key, [value])
    else known.push(value)
  }
  return fields
}

function section(elf: Uint8Array, name: string): Uint8Array {
  const view = new DataView(elf.buffer, elf.byteOffset, elf.byteLength)
  // \x7fELF, 64 bit, little endian: what every arm64 and amd64 module is.
  if (elf.byteLength < 64 || view.getUint32(0) !== 0x7f454c46 || elf[4] !== 2 || elf[5] !== 1) {
    throw new Error('not a 64-bit little-endian ELF file')
  }
  const headersOffset = Number(view.getBigUint64(0x28, true))
  const headerBytes = view.getUint16(0x3a, true)
  const count = view.getUint16(0x3c, true)
  const namesIndex = view.getUint16(0x3e, true)
  const header = (index: number) => {
    const at = headersOffset + index * headerBytes
    return {
      nameOffset: view.getUint32(at, true),
      offset: Number(view.getBigUint64(at + 0x18, true)),
      size: Number(view.getBigUint64(at + 0x20, true)),
    }
  }
  const names = header(namesIndex)
  for (let index = 0; index < count; index++) {
    const { nameOffset, offset, size } = header(index)
    const start = names.offset + nameOffset
    const end = elf.indexOf(0, start)
    if (Buffer.from(elf.subarray(start, end)).toString('latin1') === name)
      return elf.subarray(offset, offset + size)
  }
  return new Uint8Array()
}
