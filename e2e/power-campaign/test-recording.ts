/** A recording as a machine would leave it, only shorter: for tests. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { bootEnvironments, environmentCardBytes, partitions, sectorBytes } from '@atomixos/config'
import { environmentCopy } from '../boot-environment.ts'
import type { Mark } from './phases.ts'
import { type ConfigurationMark, logFile, type RecordingFile, recordingFile } from './recording.ts'

export const systemBytes = 16_000_000_000 - (16_000_000_000 % sectorBytes)

const offsetOf = (label: string) => partitions.find((partition) => partition.label === label)!.offsetBytes

/** Images with no two sectors alike. */
function image(sectors: number, first: number): Buffer {
  return Buffer.concat(Array.from({ length: sectors }, (_, i) => Buffer.alloc(sectorBytes, first + i)))
}

const images = {
  A: { boot: image(8, 1), rootfs: image(16, 20) },
  B: { boot: image(8, 101), rootfs: image(16, 120) },
}

/**
 * A /data of a few sectors, for the checks of a test: `format` tells whether all of it is formatted, `pointer` which of the two
 * `areas` is the active configuration.
 */
export const testData = {
  format: { offsetBytes: offsetOf('data') + 65_536, sectors: 16, old: 7, new: 8 },
  pointer: offsetOf('data') + 131_072,
  areas: [offsetOf('data') + 135_168, offsetOf('data') + 139_264],
  /** What each of the two sectors of an area is full of. */
  configurations: { first: 11, second: 22 },
} as const

export interface TestRecording {
  readonly dir: string
  readonly imagePath: string
  readonly images: Readonly<Record<'A' | 'B', { readonly boot: string; readonly rootfs: string }>>
  readonly file: RecordingFile
}

export interface TestRecordingOptions {
  /** Whether the slot's writes are flushed before the environment says that it may be started. */
  readonly flushBeforeActivation?: boolean
}

export async function makeTestRecording(
  dir: string,
  { flushBeforeActivation = true }: TestRecordingOptions = {},
): Promise<TestRecording> {
  const paths = { A: await writeImages(dir, 'A'), B: await writeImages(dir, 'B') }
  const imagePath = join(dir, 'flashed.img')
  const flashed = table(['boot-a', 'rootfs-a'])
  await writeFile(imagePath, '')
  await writeAt(imagePath, [
    [0, flashed.primary],
    [offsetOf('boot-a'), images.A.boot],
    [offsetOf('rootfs-a'), images.A.rootfs],
  ])
  const log = new LogWriter()
  const whole = table(partitions.map(({ label }) => label))
  log.mark('first-boot')
  const { format, pointer, areas, configurations } = testData
  const area = (byte: number, sectors = 2) => Buffer.alloc(sectors * sectorBytes, byte)
  log.write(format.offsetBytes, area(format.old, format.sectors))
  log.write(offsetOf('data') + 4096, image(16, 200))
  log.flush()
  log.writeTable(whole)
  log.write(offsetOf('data') + 8192, image(8, 50))
  log.write(areas[0], area(configurations.first))
  log.write(pointer, area(1, 1))
  log.save({ BOOT_ORDER: 'A B', BOOT_A_LEFT: '2', BOOT_B_LEFT: '3' })
  log.save({ BOOT_ORDER: 'A', BOOT_A_LEFT: '9', BOOT_B_LEFT: '0', SLOT_A_STATE: 'confirmed' })
  log.flush()
  log.mark('install')
  const pending = { BOOT_A_LEFT: '9', SLOT_A_STATE: 'confirmed', SLOT_B_STATE: 'pending' }
  log.save({ ...pending, BOOT_ORDER: 'A', BOOT_B_LEFT: '0' })
  log.write(offsetOf('boot-b'), images.B.boot)
  log.write(offsetOf('rootfs-b'), images.B.rootfs.subarray(0, 4096))
  log.write(offsetOf('rootfs-b') + 4096, images.B.rootfs.subarray(4096))
  if (flushBeforeActivation) log.flush()
  log.save({ ...pending, BOOT_ORDER: 'B A', BOOT_B_LEFT: '3' })
  log.flush()
  log.mark('restart')
  log.save({ ...pending, BOOT_ORDER: 'B A', BOOT_B_LEFT: '2' })
  log.mark('confirmation')
  log.write(offsetOf('data') + 16384, image(4, 90))
  log.flush()
  const good = { BOOT_A_LEFT: '9', SLOT_A_STATE: 'previous', SLOT_B_STATE: 'confirmed' }
  log.save({ ...good, BOOT_ORDER: 'B A', BOOT_B_LEFT: '9' })
  log.flush()
  log.mayBe('first', 'second')
  log.mark('configuration')
  log.write(areas[1], area(configurations.second))
  log.flush()
  log.write(pointer, area(2, 1))
  log.flush()
  log.mayBe('second', 'first')
  log.mark('in-place')
  for (const sector of [0, sectorBytes]) {
    log.write(areas[1] + sector, area(configurations.first, 1))
    log.flush()
  }
  log.mayBe('first', 'none')
  log.mark('factory-reset')
  log.writeTable(table(partitions.map(({ label }) => label).filter((label) => label !== 'data')))
  log.write(format.offsetBytes, area(format.new, format.sectors / 2))
  log.write(format.offsetBytes + area(0, format.sectors / 2).length, area(format.new, format.sectors / 2))
  log.flush()
  log.writeTable(whole)
  log.mark('end')
  const { marks } = log
  const told = { sets: {}, configurations: log.configurations, machineId: '' }
  const file = { systemBytes, cardBytes: environmentCardBytes, marks, ...told }
  await writeFile(join(dir, logFile), log.bytes())
  await writeFile(join(dir, recordingFile), JSON.stringify(file))
  return { dir, imagePath, images: paths, file }
}

async function writeImages(dir: string, slot: 'A' | 'B') {
  const paths = { boot: join(dir, `boot-${slot}`), rootfs: join(dir, `rootfs-${slot}`) }
  await writeFile(paths.boot, images[slot].boot)
  await writeFile(paths.rootfs, images[slot].rootfs)
  return paths
}

async function writeAt(path: string, pieces: readonly (readonly [number, Buffer])[]): Promise<void> {
  const { open } = await import('node:fs/promises')
  const file = await open(path, 'r+')
  for (const [offset, bytes] of pieces) await file.write(bytes, 0, bytes.length, offset)
  await file.close()
}

/** The format of dm-log-writes. */
class LogWriter {
  readonly marks: Mark[] = []
  readonly configurations: ConfigurationMark[] = []
  readonly #parts: Buffer[] = []
  #size = sectorBytes
  #count = 0
  #saves = 0

  mark(phase: Mark['phase']): void {
    this.marks.push({ phase, logBytes: this.#size })
  }

  write(offsetBytes: number, data: Buffer): void {
    this.#add(offsetBytes / sectorBytes, data, 0)
  }

  /** From here on. */
  mayBe(...names: string[]): void {
    this.configurations.push({ logBytes: this.#size, mayBe: names })
  }

  /** The backup first, and whole before the other is begun. */
  writeTable({ primary, backup }: { primary: Buffer; backup: Buffer }): void {
    this.write(systemBytes - backup.length, backup)
    this.flush()
    this.write(2 * sectorBytes, primary.subarray(2 * sectorBytes))
    this.write(0, primary.subarray(0, 2 * sectorBytes))
    this.flush()
  }

  flush(): void {
    this.#add(0, Buffer.alloc(0), 1)
  }

  /** Sector by sector, the copies in turn. */
  save(variables: Readonly<Record<string, string>>): void {
    const flag = ++this.#saves
    const copy = environmentCopy(variables, flag)
    const offset = systemBytes + bootEnvironments.qemu.offsetsBytes[flag % 2]!
    for (let at = 0; at < copy.length; at += sectorBytes) {
      this.write(offset + at, copy.subarray(at, at + sectorBytes))
    }
  }

  bytes(): Buffer {
    const head = Buffer.alloc(sectorBytes)
    head.writeBigUInt64LE(0x6a736677736872n, 0)
    head.writeBigUInt64LE(1n, 8)
    head.writeBigUInt64LE(BigInt(this.#count), 16)
    head.writeUInt32LE(sectorBytes, 24)
    return Buffer.concat([head, ...this.#parts])
  }

  #add(sector: number, data: Buffer, flags: number): void {
    const entry = Buffer.alloc(sectorBytes)
    entry.writeBigUInt64LE(BigInt(sector), 0)
    entry.writeBigUInt64LE(BigInt(data.length / sectorBytes), 8)
    entry.writeBigUInt64LE(BigInt(flags), 16)
    this.#parts.push(entry, data)
    this.#size += sectorBytes + data.length
    this.#count++
  }
}

/** Protective MBR, header, entries; and the backup that ends the disk. */
function table(labels: readonly string[]): { primary: Buffer; backup: Buffer } {
  const last = systemBytes / sectorBytes - 1
  const entries = Buffer.alloc(128 * 128)
  for (const { label, number, typeId, offsetBytes, sizeBytes } of partitions) {
    if (!labels.includes(label)) continue
    const at = (number - 1) * 128
    entries.set(guidBytes(typeId), at)
    entries[at + 16] = number
    entries.writeBigUInt64LE(BigInt(offsetBytes / sectorBytes), at + 32)
    const end = sizeBytes === undefined ? last - 33 : (offsetBytes + sizeBytes) / sectorBytes - 1
    entries.writeBigUInt64LE(BigInt(end), at + 40)
    entries.write(label, at + 56, 'utf16le')
  }
  const header = (own: number, entriesAt: number) => {
    const bytes = Buffer.alloc(sectorBytes)
    bytes.write('EFI PART', 0, 'latin1')
    bytes.writeUInt32LE(92, 12)
    bytes.writeBigUInt64LE(BigInt(own), 24)
    bytes.writeBigUInt64LE(BigInt(entriesAt), 72)
    bytes.writeUInt32LE(128, 80)
    bytes.writeUInt32LE(128, 84)
    bytes.writeUInt32LE(crc32(entries), 88)
    bytes.writeUInt32LE(crc32(bytes.subarray(0, 92)), 16)
    return bytes
  }
  const mbr = Buffer.alloc(sectorBytes)
  mbr[450] = 0xee
  mbr.set([0x55, 0xaa], 510)
  return {
    primary: Buffer.concat([mbr, header(1, 2), entries]),
    backup: Buffer.concat([entries, header(last, last - 32)]),
  }
}

function guidBytes(guid: string): Buffer {
  const [a, b, c, d, e] = guid.split('-').map((group) => Buffer.from(group, 'hex'))
  return Buffer.concat([a!.reverse(), b!.reverse(), c!.reverse(), d!, e!])
}
