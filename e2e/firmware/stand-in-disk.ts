import { execFile } from 'node:child_process'
import { mkdir, open, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { crc32 } from 'node:zlib'
import { partitions, partitionTypes } from '@atomixos/config'
import type { Programs } from '@atomixos/machine'

/** What a boot slot holds instead of a system. */
export type SlotContent = 'starts' | 'returns' | 'no-script' | 'damaged-script' | 'no-file-system'

const sector = 512
const MiB = 1024 * 1024
const slotBytes = 4 * MiB
const diskBytes = 24 * MiB
/** Partition number to first byte: as on the real disk, only smaller. */
const offsets = new Map([
  [1, 1 * MiB],
  [2, 6 * MiB],
  [3, 11 * MiB],
  [4, 16 * MiB],
])
export const rootIds = { A: partitionId(2), B: partitionId(4) }

const scripts = {
  starts: `part uuid \${ab_if} \${ab_dev}:\${slot_root} root_uuid
echo "stand-in: slot \${slot} runs with \${slot_arguments} root=\${root_uuid}"
while true; do sleep 1; done
`,
  returns: `echo "stand-in: slot \${slot} gives up"
`,
}

/** A disk with the layout's first four partitions, the boot slots being small FAT file systems. */
export async function makeStandInDisk(
  path: string,
  options: { a: SlotContent; b: SlotContent; primaryTable?: 'whole' | 'wiped' },
  programs: Programs,
): Promise<void> {
  const disk = await open(path, 'w')
  try {
    await disk.truncate(diskBytes)
    const table = partitionTable()
    const { primary } = table
    if (options.primaryTable === 'wiped') primary.fill(0, sector)
    await disk.write(primary, 0, undefined, 0)
    await disk.write(table.backup, 0, undefined, diskBytes - table.backup.length)
    for (const [number, content] of [[1, options.a] as const, [3, options.b] as const]) {
      await disk.write(
        await slotImage(content, `${path}-${number}`, programs),
        0,
        undefined,
        offsets.get(number)!,
      )
    }
  } finally {
    await disk.close()
  }
}

async function slotImage(content: SlotContent, dir: string, programs: Programs): Promise<Buffer> {
  if (content === 'no-file-system') return Buffer.alloc(slotBytes)
  await mkdir(dir, { recursive: true })
  const image = join(dir, 'slot.vfat')
  await runTool(programs, 'mformat', ['-C', '-i', image, '-T', String(slotBytes / sector), '::'])
  if (content !== 'no-script') {
    const script = scriptImage(content === 'damaged-script' ? scripts.starts : scripts[content])
    if (content === 'damaged-script') script[script.length - 10]! ^= 1
    await writeFile(join(dir, 'boot.scr'), script)
    await runTool(programs, 'mcopy', ['-i', image, join(dir, 'boot.scr'), '::boot.scr'])
  }
  return readFile(image)
}

async function runTool(programs: Programs, program: string, args: readonly string[]): Promise<void> {
  const [command, ...first] = programs.argv(program)
  await promisify(execFile)(command!, [...first, ...args], { env: { ...programs.env }, timeout: 30_000 })
}

/** U-Boot's legacy image format: header with CRCs of itself and of the data; a script begins with its size. */
function scriptImage(text: string): Buffer {
  const data = Buffer.concat([Buffer.alloc(8), Buffer.from(text)])
  data.writeUInt32BE(Buffer.byteLength(text), 0)
  const header = Buffer.alloc(64)
  header.writeUInt32BE(0x27051956, 0)
  header.writeUInt32BE(data.length, 12)
  header.writeUInt32BE(crc32(data), 24)
  // Linux, arm64, script, uncompressed.
  header.set([5, 22, 6, 0], 28)
  header.writeUInt32BE(crc32(header), 4)
  return Buffer.concat([header, data])
}

function partitionId(number: number): string {
  return `0000000${number}-1111-2222-3333-444444444444`
}

/** Protective MBR, header and entries; and the backup that ends the disk. */
function partitionTable(): { primary: Buffer; backup: Buffer } {
  const last = diskBytes / sector - 1
  const entries = Buffer.alloc(128 * 128)
  for (const [number, offset] of offsets) {
    const at = (number - 1) * 128
    const { label } = partitions.find((partition) => partition.number === number)!
    const type = number % 2 === 1 ? partitionTypes.xbootldr : partitionTypes.rootArm64
    entries.set(guidBytes(type), at)
    entries.set(guidBytes(partitionId(number)), at + 16)
    entries.writeBigUInt64LE(BigInt(offset / sector), at + 32)
    entries.writeBigUInt64LE(BigInt((offset + slotBytes) / sector - 1), at + 40)
    entries.write(label, at + 56, 'utf16le')
  }
  const header = (own: number, other: number, entriesAt: number) => {
    const bytes = Buffer.alloc(sector)
    bytes.write('EFI PART', 0, 'latin1')
    bytes.writeUInt32LE(0x10000, 8)
    bytes.writeUInt32LE(92, 12)
    for (const [at, value] of [
      [24, own],
      [32, other],
      [40, 34],
      [48, last - 33],
      [72, entriesAt],
    ] as const) {
      bytes.writeBigUInt64LE(BigInt(value), at)
    }
    bytes.set(guidBytes('99999999-1111-2222-3333-444444444444'), 56)
    bytes.writeUInt32LE(128, 80)
    bytes.writeUInt32LE(128, 84)
    bytes.writeUInt32LE(crc32(entries), 88)
    bytes.writeUInt32LE(crc32(bytes.subarray(0, 92)), 16)
    return bytes
  }
  const mbr = Buffer.alloc(sector)
  mbr.set([0, 0, 2, 0, 0xee, 255, 255, 255], 446)
  mbr.writeUInt32LE(1, 454)
  mbr.writeUInt32LE(last, 458)
  mbr.set([0x55, 0xaa], 510)
  return {
    primary: Buffer.concat([mbr, header(1, last, 2), entries]),
    backup: Buffer.concat([entries, header(last, 1, last - 32)]),
  }
}

/** GPT stores the first three groups with their bytes reversed. */
function guidBytes(guid: string): Buffer {
  const [a, b, c, d, e] = guid.split('-').map((group) => Buffer.from(group, 'hex'))
  return Buffer.concat([a!.reverse(), b!.reverse(), c!.reverse(), d!, e!])
}
