import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type FileHandle, open, readdir, readFile, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { sectorBytes } from '@atomixos/config'
import { readGpt } from '../disk/read-gpt.ts'
import { UserError } from '../errors.ts'
import type { Manifest } from '../manifest/manifest.ts'

/** A disk image that was looked at and may be written. */
export interface FlashImage {
  readonly path: string
  readonly sizeBytes: number
  readonly sha256: string
  readonly modifiedAtMs: number
  /** The file beside the image that has its hash; undefined: there is none, and only the image vouches for itself. */
  readonly checkedBy: 'SHA256SUMS' | 'manifest.json' | undefined
  /** What the manifest beside it says it is. */
  readonly build: Pick<Manifest, 'board' | 'version' | 'variant'> | undefined
  readonly bootPartition: { readonly offsetBytes: number; readonly sizeBytes: number }
}

const imageName = /^atomixos-.+\.img$/

/** The newest image below `dist/`, of whatever board. Throws UserError when nothing was built. */
export async function newestImage(distDir: string): Promise<string> {
  const found: { path: string; mtimeMs: number }[] = []
  for (const board of await readdir(distDir).catch(() => [])) {
    for (const name of await readdir(join(distDir, board)).catch(() => [])) {
      if (!imageName.test(name)) continue
      const path = join(distDir, board, name)
      found.push({ path, mtimeMs: (await stat(path)).mtimeMs })
    }
  }
  const newest = found.sort((a, b) => b.mtimeMs - a.mtimeMs)[0]
  if (newest !== undefined) return newest.path
  throw new UserError(`there is no image in ${distDir}`, {
    hint: 'run `./atomixos build` first, or name an image with --image FILE',
    exitCode: 2,
  })
}

/**
 * Looks at an image: whole, with the partitions of the product, and with the hash that SHA256SUMS or manifest.json
 * beside it give. Throws UserError for anything else; nothing was written then.
 */
export async function readFlashImage(path: string, signal: AbortSignal): Promise<FlashImage> {
  const { size, mtimeMs } = await statImage(path)
  await refuseCompressed(path)
  const gpt = await readGpt(path)
  const partition = (label: string) => gpt.partitions.find((candidate) => candidate.label === label)
  const bootPartition = partition('boot-a')
  if (bootPartition === undefined || partition('rootfs-a') === undefined) {
    const labels = gpt.partitions.map(({ label }) => label || '(no name)').join(', ') || 'none'
    throw new UserError(`${path} is no image of AtomixOS: its partitions are ${labels}`, {
      hint: 'boot-a and rootfs-a are expected; `./atomixos build image` makes one',
      exitCode: 2,
    })
  }
  if (size % sectorBytes !== 0 || !gpt.copies.primary || !gpt.copies.backup || !gpt.backupAtEnd) {
    throw new UserError(`${path} is not whole: its partition table does not end where the file ends`, {
      hint: 'copy or build the image again',
      exitCode: 2,
    })
  }
  const sha256 = await hashImage(path, signal)
  const { expected, checkedBy, build } = await readExpectations(path)
  if (expected !== undefined && expected !== sha256) {
    throw new UserError(
      `${path} is damaged: its SHA-256 is\n  ${sha256}, and ${checkedBy} says\n  ${expected}`,
      { hint: 'copy or build the image again', exitCode: 2 },
    )
  }
  return {
    path,
    sizeBytes: size,
    sha256,
    modifiedAtMs: mtimeMs,
    checkedBy,
    build,
    bootPartition: { offsetBytes: bootPartition.offsetBytes, sizeBytes: bootPartition.sizeBytes },
  }
}

async function statImage(path: string) {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    throw new UserError(`the image ${path} cannot be read: ${error.message}`, { exitCode: 2, cause: error })
  })
  if (found.isFile() && found.size > 0) return found
  throw new UserError(`${path} is ${found.isFile() ? 'empty' : 'not a file'}, so it is no image`, {
    exitCode: 2,
  })
}

/** Of the bytes that are there now: a note of what they once were would hide their damage. */
async function hashImage(path: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024, signal })) {
    hash.update(chunk as Buffer)
  }
  return hash.digest('hex')
}

const compressions: readonly (readonly [name: string, magic: string, command: string])[] = [
  ['zstd', '28b52ffd', 'zstd -d'],
  ['gzip', '1f8b', 'gunzip -k'],
  ['xz', 'fd377a585a00', 'unxz -k'],
  ['bzip2', '425a68', 'bunzip2 -k'],
  ['zip', '504b0304', 'unzip'],
]

async function refuseCompressed(path: string): Promise<void> {
  await using file = await open(path, 'r')
  const start = (await readAt(file, 0, 8)).toString('hex')
  const found = compressions.find(([, magic]) => start.startsWith(magic))
  if (found === undefined) return
  throw new UserError(`${path} is compressed with ${found[0]}`, {
    hint: `unpack it first: \`${found[2]} ${path}\``,
    exitCode: 2,
  })
}

/** So many bytes at an offset, fewer at the file's end. */
export async function readAt(file: FileHandle, offsetBytes: number, sizeBytes: number): Promise<Buffer> {
  const buffer = Buffer.alloc(sizeBytes)
  let done = 0
  while (done < sizeBytes) {
    const { bytesRead } = await file.read(buffer, done, sizeBytes - done, offsetBytes + done)
    if (bytesRead === 0) break
    done += bytesRead
  }
  return buffer.subarray(0, done)
}

async function readExpectations(
  path: string,
): Promise<{ expected: string | undefined } & Pick<FlashImage, 'checkedBy' | 'build'>> {
  const beside = async (name: string) =>
    readFile(join(dirname(path), name), 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined
      throw new UserError(`${name} beside the image cannot be read: ${error.message}`, { cause: error })
    })
  const listed = parseChecksums((await beside('SHA256SUMS')) ?? '').get(basename(path))
  const manifest = parseManifest(await beside('manifest.json'), basename(path))
  const expected = listed ?? manifest?.sha256
  return {
    expected,
    checkedBy: listed ? 'SHA256SUMS' : manifest ? 'manifest.json' : undefined,
    build: manifest?.build,
  }
}

/** Hashes by file name, as `sha256sum` writes them. Other lines say nothing. Pure. */
export function parseChecksums(text: string): Map<string, string> {
  return new Map(
    [...text.matchAll(/^([0-9a-f]{64}) [ *](.+)$/gim)].map(([, sha256, name]) => [
      name!.trim(),
      sha256!.toLowerCase(),
    ]),
  )
}

/** Of a manifest that has this image; undefined for any other text. */
function parseManifest(text: string | undefined, name: string) {
  try {
    const manifest = JSON.parse(text ?? '') as Manifest
    const artifact = manifest.artifacts.find((candidate) => candidate.name === name)
    if (manifest.product !== 'atomixos' || artifact === undefined) return undefined
    const { board, version, variant } = manifest
    return { sha256: artifact.sha256, build: { board, version, variant } }
  } catch {
    return undefined
  }
}
