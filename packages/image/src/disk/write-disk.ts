import { chmod, type FileHandle, open, stat } from 'node:fs/promises'
import { firmwareSectors, MiB, partitions, sectorBytes } from '@atomixos/config'
import { UserError } from '../errors.ts'
import { backupGptBytes, derivedGuid, encodeGpt, type Gpt } from './gpt.ts'

export interface DiskContents {
  /** Goes into the GUIDs: two products on one machine must not share them. */
  readonly product: string
  /** Files for the raw region before the first partition; undefined: the firmware is not on this disk. */
  readonly firmware: { readonly idbloaderPath: string; readonly ubootItbPath: string } | undefined
  readonly bootSlotPath: string
  readonly rootfsPath: string
}

interface Placement {
  readonly what: string
  readonly path: string
  readonly offsetBytes: number
  readonly roomBytes: number
}

const imagePartitions = partitions.filter(({ made }) => made === 'image')

/** The table of the flashable image: slot A only; the device makes the rest and moves the backup to its own end. */
export function imageGpt(product: string): Gpt {
  const end = Math.max(...imagePartitions.map(({ offsetBytes, sizeBytes }) => offsetBytes + sizeBytes!))
  return {
    diskId: derivedGuid('disk', product),
    diskBytes: Math.ceil((end + backupGptBytes) / MiB) * MiB,
    firstUsableBytes: Math.min(...partitions.map(({ offsetBytes }) => offsetBytes)),
    partitions: imagePartitions.map(({ label, number, typeId, offsetBytes, sizeBytes }) => ({
      label,
      number,
      typeId,
      id: derivedGuid('partition', product, label),
      offsetBytes,
      sizeBytes: sizeBytes!,
      attributes: 0n,
    })),
  }
}

/**
 * Writes the flashable disk image as a sparse file: what is zero in the parts is a hole in the image.
 * Throws UserError when a part is larger than its place.
 */
export async function writeDisk(contents: DiskContents, imagePath: string): Promise<void> {
  const gpt = imageGpt(contents.product)
  const placements = placeContents(contents)
  for (const placement of placements) await refuseTooLarge(placement)
  await using image = await open(imagePath, 'wx', 0o644)
  await chmod(imagePath, 0o644)
  await image.truncate(gpt.diskBytes)
  const { primary, backup } = encodeGpt(gpt)
  await writeAll(image, primary, 0)
  await writeAll(image, backup, gpt.diskBytes - backup.byteLength)
  for (const { path, offsetBytes } of placements) await copySparse(path, image, offsetBytes)
}

function placeContents({ firmware, bootSlotPath, rootfsPath }: DiskContents): Placement[] {
  const partition = (what: string, path: string, wanted: string): Placement => {
    const { offsetBytes, sizeBytes } = imagePartitions.find(({ label }) => label === wanted)!
    return { what, path, offsetBytes, roomBytes: sizeBytes! }
  }
  const raw = (what: string, path: string, sector: number, endBytes: number): Placement => ({
    what,
    path,
    offsetBytes: sector * sectorBytes,
    roomBytes: endBytes - sector * sectorBytes,
  })
  const firmwareEnd = Math.min(...partitions.map(({ offsetBytes }) => offsetBytes))
  const placements = [
    partition('the boot slot', bootSlotPath, 'boot-a'),
    partition('the root file system', rootfsPath, 'rootfs-a'),
  ]
  if (firmware === undefined) return placements
  return [
    raw(
      'idbloader.img',
      firmware.idbloaderPath,
      firmwareSectors.idbloader,
      firmwareSectors.ubootItb * sectorBytes,
    ),
    raw('u-boot.itb', firmware.ubootItbPath, firmwareSectors.ubootItb, firmwareEnd),
    ...placements,
  ]
}

async function refuseTooLarge({ what, path, roomBytes }: Placement): Promise<void> {
  const { size } = await stat(path)
  if (size <= roomBytes) return
  throw new UserError(`${what} has ${size} bytes, its place on the disk ${roomBytes}`, {
    hint: 'leave something out of it; the partitions of devices in the field cannot grow',
  })
}

const chunkBytes = 4 * MiB
/** Zeros shorter than this are written: each hole costs the file system an extent. */
const holeBytes = 64 * 1024
const zeros = Buffer.alloc(holeBytes)

async function copySparse(path: string, image: FileHandle, offsetBytes: number): Promise<void> {
  await using source = await open(path, 'r')
  const buffer = Buffer.allocUnsafe(chunkBytes)
  for (let position = 0; ; ) {
    const { bytesRead } = await source.read(buffer, 0, chunkBytes, position)
    if (bytesRead === 0) return
    for (const [start, end] of dataRanges(buffer.subarray(0, bytesRead))) {
      await writeAll(image, buffer.subarray(start, end), offsetBytes + position + start)
    }
    position += bytesRead
  }
}

/** Stretches that are not zero, in steps of `holeBytes`. */
function* dataRanges(chunk: Buffer): Generator<[number, number]> {
  let start: number | undefined
  for (let at = 0; at < chunk.byteLength; at += holeBytes) {
    const piece = chunk.subarray(at, at + holeBytes)
    const isHole = piece.equals(zeros.subarray(0, piece.byteLength))
    if (!isHole) start ??= at
    else if (start !== undefined) {
      yield [start, at]
      start = undefined
    }
  }
  if (start !== undefined) yield [start, chunk.byteLength]
}

async function writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  let done = 0
  while (done < bytes.byteLength) {
    const { bytesWritten } = await file.write(bytes, done, bytes.byteLength - done, position + done)
    done += bytesWritten
  }
}
