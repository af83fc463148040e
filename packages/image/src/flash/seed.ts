import { open, readFile } from 'node:fs/promises'
import { bootSeedName, sectorBytes } from '@atomixos/config'
import { claimCodeName } from '@atomixos/config/api/index.ts'
import { parseConfig } from '@atomixos/config/operator/index.ts'
import { UserError } from '../errors.ts'
import { parseFat16 } from '../vfat/fat16.ts'
import { type Patch, placeFiles } from '../vfat/place-file.ts'
import { type FlashImage, readAt } from './flash-image.ts'

/** What an operator says in text is far below; more is a mistake in the file's name. */
const seedBytesMax = 1024 * 1024

/** Reads the operator's configuration for a freshly flashed device. Throws UserError when it cannot be one. */
export async function readSeed(path: string): Promise<Buffer> {
  const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    throw new UserError(`the configuration ${path} cannot be read: ${error.message}`, {
      exitCode: 2,
      cause: error,
    })
  })
  const problem = seedProblem(bytes)
  if (problem !== undefined) {
    throw new UserError(`${path} ${problem}`, {
      hint: `the boot partition takes a plain ${bootSeedName}; a bundle with files comes on a USB stick`,
      exitCode: 2,
    })
  }
  const { problems } = parseConfig(bytes)
  const [first] = problems
  if (first === undefined) return bytes
  // A card that waits in the field with a mistake on it costs a journey.
  const place = first.line === undefined ? '' : `:${first.line}:${first.column}`
  const key = first.path === '' ? '' : `${first.path}: `
  const more = problems.length === 1 ? '' : ` (and ${problems.length - 1} more)`
  throw new UserError(`no device would take ${path}${place}: ${key}${first.message}${more}`, {
    hint: `\`./atomixos config validate ${path}\` tells all that is wrong`,
    exitCode: 2,
  })
}

/** Why these bytes cannot be a `config.toml`, whatever a configuration may say; undefined when they can. Pure. */
export function seedProblem(bytes: Uint8Array): string | undefined {
  if (bytes.byteLength === 0) return 'is empty'
  if (bytes.byteLength > seedBytesMax) {
    return `has ${bytes.byteLength} bytes; a configuration has ${seedBytesMax} at most`
  }
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    // TOML knows tabs and line ends, and no other control characters.
    const control = /[^\P{Cc}\t\r\n]/u.exec(text)
    if (control === null) return undefined
    return `is no text: it has the character 0x${control[0].charCodeAt(0).toString(16).padStart(2, '0')}`
  } catch {
    return 'is no text in UTF-8'
  }
}

/** What a card gets besides its image. */
export interface BootFiles {
  /** The operator's configuration. */
  readonly seed: Uint8Array | undefined
  /** What somebody has to know who is the first to configure the device over the network. */
  readonly claimCode: string | undefined
}

/** The patches that put these files onto the boot partition of an image, relative to the image's start. */
export async function planBootFiles(image: FlashImage, { seed, claimCode }: BootFiles): Promise<Patch[]> {
  const files = [
    ...(seed === undefined ? [] : [{ name: bootSeedName, bytes: seed }]),
    ...(claimCode === undefined ? [] : [{ name: claimCodeName, bytes: Buffer.from(`${claimCode}\n`) }]),
  ]
  if (files.length === 0) return []
  await using file = await open(image.path, 'r')
  const start = image.bootPartition.offsetBytes
  const fat = parseFat16(await readAt(file, start, sectorBytes), `the boot partition of ${image.path}`)
  if (fat.fileSystemBytes > image.bootPartition.sizeBytes) {
    throw new UserError(`the file system of ${image.path}'s boot partition is larger than the partition`)
  }
  const parts = {
    table: await readAt(file, start + fat.tableOffsets[0]!, fat.tableBytes),
    root: await readAt(file, start + fat.rootOffset, fat.dataOffset - fat.rootOffset),
  }
  return placeFiles(fat, parts, files).map(({ offsetBytes, bytes }) => ({
    offsetBytes: start + offsetBytes,
    bytes,
  }))
}
