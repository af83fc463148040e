import { createHash, randomBytes } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { lstat, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { constants, createGunzip, createGzip, createZstdCompress, createZstdDecompress } from 'node:zlib'
import { bundleFilesFolder, type Problem } from '@atomixos/config'
import { type BundleMember, bundleLimits, bundleProblems, inMiB } from '@atomixos/config/operator/bundle.ts'
import { imageOf, isArchiveName, isNamed, namesInArchive } from '@atomixos/config/operator/image-names.ts'
import { type OperatorConfig, parseConfig, renderConfig } from '@atomixos/config/operator/index.ts'
import { TarReader } from '@atomixos/image/archive/tar.ts'
import { writeTar } from '@atomixos/image/archive/write-tar.ts'
import { UserError } from '@atomixos/image/errors.ts'
import type { Tree, TreeNode } from '@atomixos/image/tree/tree.ts'

/** An archive below files/images, and who has it loaded. */
export interface CarriedImage {
  /** `files/images/web.tar` */
  readonly path: string
  readonly images: readonly string[]
  readonly containers: readonly string[]
}

/** A folder that is to become a bundle, with all that a device would say about it. */
export interface BundleFolder {
  readonly source: Uint8Array
  readonly parsed: ReturnType<typeof parseConfig>
  readonly members: readonly (BundleMember & { readonly executable: boolean; readonly secret: boolean })[]
  readonly images: readonly CarriedImage[]
  /** What lies beside `config.toml` and `files/`, and is not packed. */
  readonly leftOut: readonly string[]
  /** Of the files; those of `config.toml` are in `parsed`. */
  readonly problems: readonly Problem[]
  readonly warnings: readonly Problem[]
}

const imagesFolder = 'files/images'

/** Throws UserError when there is no such folder, or no `config.toml` in it. */
export async function readBundleFolder(dir: string): Promise<BundleFolder> {
  const names = await readdir(dir).catch((error: NodeJS.ErrnoException) => {
    const what = { ENOENT: 'is not there', ENOTDIR: 'is no folder' }[error.code ?? '']
    throw new UserError(`${dir} ${what ?? `cannot be read: ${error.message}`}`, { exitCode: 2, cause: error })
  })
  if (!names.includes('config.toml')) {
    throw new UserError(`${dir} has no config.toml`, {
      hint: 'name the folder in which config.toml is, and files/ beside it',
      exitCode: 2,
    })
  }
  const members = []
  for (const name of ['config.toml', ...(names.includes('files') ? ['files'] : [])]) {
    members.push(...(await readMembers(dir, name).catch(unreadable(dir))))
  }
  const source = await readFile(join(dir, 'config.toml')).catch(unreadable(dir))
  const parsed = parseConfig(source)
  const problems = [...bundleProblems(members), ...expectedKinds(members)]
  const archives = await readArchives(dir, members, problems)
  const { images, warnings } = judgeImages(parsed.config, archives)
  return {
    ...{ source, parsed, members, images, problems },
    leftOut: names.filter((name) => name !== 'config.toml' && name !== 'files').sort(),
    warnings: [...warnings, ...missingFiles(parsed.config, members)],
  }
}

function unreadable(dir: string): (error: Error) => never {
  return (error) => {
    throw new UserError(`${dir} cannot be read: ${error.message}`, { exitCode: 2, cause: error })
  }
}

async function readMembers(dir: string, path: string): Promise<BundleFolder['members'][number][]> {
  const stat = await lstat(join(dir, path))
  const kind: BundleMember['kind'] = stat.isFile() ? 'file' : stat.isDirectory() ? 'folder' : 'other'
  const member = {
    ...{ path, kind, sizeBytes: kind === 'file' ? stat.size : 0 },
    executable: (stat.mode & 0o100) !== 0,
    secret: (stat.mode & 0o044) === 0,
  }
  if (kind !== 'folder') return [member]
  const names = (await readdir(join(dir, path))).sort()
  const below = []
  for (const name of names) below.push(...(await readMembers(dir, `${path}/${name}`)))
  return [member, ...below]
}

function expectedKinds(members: readonly BundleMember[]): Problem[] {
  return members.flatMap(({ path, kind }) => {
    if (path === 'files' && kind === 'file') return [{ path, message: 'it is no folder' }]
    if (path === 'config.toml' && kind === 'folder') return [{ path, message: 'it is a folder' }]
    return []
  })
}

type Archive = Pick<CarriedImage, 'path' | 'images'>

async function readArchives(
  dir: string,
  members: readonly BundleMember[],
  problems: Problem[],
): Promise<Archive[]> {
  const archives: Archive[] = []
  for (const { path, kind } of members) {
    if (!path.startsWith(`${imagesFolder}/`) || kind !== 'file') continue
    const name = path.slice(imagesFolder.length + 1)
    if (name.includes('/')) {
      problems.push({
        path,
        message: 'archives in folders are not loaded',
        hint: `put it into ${imagesFolder}`,
      })
    } else if (isArchiveName(name)) archives.push({ path, images: await imagesIn(join(dir, path)) })
    else {
      const hint = 'give it a name of letters, digits, dots and dashes'
      problems.push({ path, message: 'an archive with such a name is not loaded', hint })
    }
  }
  return archives
}

/** Names in an archive, compressed or not; none in what is no archive. */
async function imagesIn(path: string): Promise<string[]> {
  const texts: string[] = []
  let chunks: Buffer[] | undefined
  const reader = new TarReader({
    entry: ({ path: member, type }) => {
      const wanted = /^(?:\.\/)?(?:manifest|index)\.json$/.test(member) && type === 'file'
      chunks = wanted ? [] : undefined
    },
    data: (bytes) => void chunks?.push(Buffer.from(bytes)),
    fileEnd: () => {
      if (chunks !== undefined) texts.push(Buffer.concat(chunks).toString('utf8'))
    },
  })
  try {
    const source = createReadStream(path)
    const decompress = await decompressorOf(path)
    const stream = decompress === undefined ? source : source.pipe(decompress)
    source.on('error', (error) => stream.destroy(error))
    for await (const chunk of stream) reader.push(chunk as Buffer)
  } catch {
    // Whatever it is, no image is in it that could be loaded.
    return []
  }
  return texts.flatMap(namesInArchive)
}

async function decompressorOf(path: string): Promise<Transform | undefined> {
  const start = await firstBytes(path)
  if (start.startsWith('1f8b')) return createGunzip()
  if (start === '28b52ffd') return createZstdDecompress()
  return undefined
}

async function firstBytes(path: string): Promise<string> {
  for await (const chunk of createReadStream(path, { end: 3 })) return (chunk as Buffer).toString('hex')
  return ''
}

function judgeImages(
  config: OperatorConfig | undefined,
  archives: readonly Archive[],
): { images: CarriedImage[]; warnings: Problem[] } {
  const containers = config === undefined ? [] : containersOf(config)
  const images = archives.map((archive) => ({
    ...archive,
    containers: containers.filter(({ image }) => isNamed(image, archive.images)).map(({ name }) => name),
  }))
  if (config === undefined) return { images, warnings: [] }
  const warnings = images.flatMap(({ path, images: names, containers: naming }): Problem[] => {
    if (names.length === 0) {
      const hint = 'make one with: podman save --output FILE NAME:TAG'
      return [{ path, message: 'it is no archive with names of images, and will not be loaded', hint }]
    }
    if (naming.length > 0) return []
    return [{ path, message: `no container names ${names.join(' or ')}: it will not be loaded` }]
  })
  for (const { name, image, pull } of containers) {
    // Nothing else can bring it: no registry is asked, or there is none to ask.
    const local = pull === 'never' || /^localhost\//.test(image)
    if (!local || images.some(({ images: names }) => isNamed(image, names))) continue
    const hint = 'a device that does not have it already cannot start the container'
    const message = `no archive in ${imagesFolder} has ${image}`
    warnings.push({ path: `containers.container.${name}.Container.Image`, message, hint })
  }
  return { images, warnings }
}

function containersOf(config: OperatorConfig): { name: string; image: string; pull: string | undefined }[] {
  const built = new Set(Object.values(config.containers.build ?? {}).map(({ Build }) => Build.ImageTag))
  return quadletsOf(config).flatMap(({ unit, text }) => {
    const image = imageOf({ unit, text })
    if (image === undefined || built.has(image)) return []
    const pull = /^Pull=(.+)$/m.exec(text)?.[1]
    return [{ name: unit.replace(/\.container$/, ''), image, pull }]
  })
}

function quadletsOf(config: OperatorConfig): { unit: string; text: string }[] {
  return [...renderConfig(config, '')].flatMap(([path, { content }]) =>
    path.startsWith('quadlet/') ? [{ unit: path.slice('quadlet/'.length), text: content }] : [],
  )
}

/** What Quadlets name below `${FILES_DIR}` and the bundle does not bring. */
function missingFiles(config: OperatorConfig | undefined, members: readonly BundleMember[]): Problem[] {
  if (config === undefined) return []
  const present = new Set(members.map(({ path }) => path))
  const warnings = new Map<string, Problem>()
  for (const { unit, text } of quadletsOf(config)) {
    for (const [, below = ''] of text.matchAll(
      new RegExp(`${bundleFilesFolder}((?:/[^\\s:;,"'/]+)*)`, 'g'),
    )) {
      const path = `files${below}`
      if (!present.has(path)) warnings.set(path, { path, message: `${unit} names it, and it is not there` })
    }
  }
  return [...warnings.values()]
}

/** Packed without a problem. */
export interface PackedBundle {
  readonly path: string
  readonly sizeBytes: number
  readonly sha256: string
}

export type BundleFormat = 'zstd' | 'gzip'

/** By the name that the bundle is to have; undefined for one that says neither. */
export function bundleFormatOf(path: string): BundleFormat | undefined {
  if (/\.(?:tar\.zst|tzst)$/.test(path)) return 'zstd'
  return /\.(?:tar\.gz|tgz)$/.test(path) ? 'gzip' : undefined
}

/**
 * Writes the bundle; what was at `outPath` stays until it is whole. Same files, same bytes: times and owners are not packed.
 * Throws UserError when it is larger than a device takes, or the signal's reason.
 */
export async function writeBundle(
  folder: BundleFolder,
  options: {
    readonly dir: string
    readonly outPath: string
    readonly format: BundleFormat
    readonly signal: AbortSignal
    readonly onProgress?: (doneBytes: number) => void
  },
): Promise<PackedBundle> {
  const { dir, outPath, format, signal, onProgress } = options
  const partial = `${outPath}.${randomBytes(6).toString('hex')}`
  const hash = createHash('sha256')
  let sizeBytes = 0
  const measured = new Transform({
    transform(chunk: Buffer, _, done) {
      hash.update(chunk)
      sizeBytes += chunk.length
      done(undefined, chunk)
    },
  })
  const compressor =
    format === 'gzip'
      ? createGzip({ level: 9 })
      : createZstdCompress({
          params: { [constants.ZSTD_c_compressionLevel]: 12, [constants.ZSTD_c_checksumFlag]: 1 },
        })
  try {
    await pipeline(
      Readable.from(counted(writeTar(bundleTree(folder, dir), { mtime: 0 }), onProgress)),
      compressor,
      measured,
      createWriteStream(partial, { flags: 'wx' }),
      { signal },
    )
    const { uploadBytesMax } = bundleLimits
    if (sizeBytes > uploadBytesMax) {
      throw new UserError(
        `the bundle would be ${inMiB(sizeBytes)}, and a device takes ${inMiB(uploadBytesMax)}`,
        {
          hint: 'have the larger images pulled from a registry, or make them smaller',
        },
      )
    }
    await rename(partial, outPath)
  } finally {
    await rm(partial, { force: true })
  }
  return { path: outPath, sizeBytes, sha256: hash.digest('hex') }
}

async function* counted(
  chunks: AsyncIterable<Uint8Array>,
  onProgress: ((doneBytes: number) => void) | undefined,
): AsyncGenerator<Uint8Array> {
  let done = 0
  for await (const chunk of chunks) {
    yield chunk
    done += chunk.length
    onProgress?.(done)
  }
}

/** Of modes a device keeps two things: whether a file is a program, and whether everybody may read it. */
function bundleTree({ source, members }: BundleFolder, dir: string): Tree {
  const owned = { uid: 0, gid: 0, origin: dir }
  return new Map(
    members.map(({ path, kind, sizeBytes, executable, secret }): [string, TreeNode] => {
      if (kind === 'folder') return [`/${path}`, { ...owned, type: 'directory', mode: 0o755 }]
      const mode = (secret ? 0o600 : 0o644) | (executable ? (secret ? 0o100 : 0o111) : 0)
      // What was validated, even if somebody is writing to the file.
      if (path === 'config.toml') {
        return [
          `/${path}`,
          { ...owned, type: 'file', mode: 0o600, content: { kind: 'bytes', bytes: source } },
        ]
      }
      const content = { kind: 'range', path: join(dir, path), offsetBytes: 0, sizeBytes, sha256: '' } as const
      return [`/${path}`, { ...owned, type: 'file', mode, content }]
    }),
  )
}
