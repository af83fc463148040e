import type { Transform } from 'node:stream'
import { constants, createGunzip, createZstdDecompress } from 'node:zlib'
import { configBytesMax } from '@atomixos/config/operator/index.ts'
import { type BundleLimits, BundleRefused, bundleLimits, sizeText } from './bundle-limits.ts'
import { type TarFile, TarReader, type TarSink } from './tar-reader.ts'

/** Where the members of `files/` go. Names begin with `files/`, and each comes once, after the folder it is in. */
export interface FilesSink {
  folder(name: string): void
  file(name: string, file: TarFile): void
  data(chunk: Uint8Array): void
  fileEnd(): void
}

export interface Upload {
  /** config.toml, as it came. */
  readonly source: Uint8Array
  readonly kind: 'config' | 'bundle'
}

/** 32 MiB of memory: what `zstd -20` and below need. */
const zstdWindowLog = 25
const chunkBytes = 64 << 10

/**
 * Reads a config.toml or a bundle; which of them it is, is told by its content. What is in `files/` goes to `files` while it
 * is unpacked, in pieces. Throws BundleRefused; what `files` was told until then counts for nothing.
 */
export async function readUpload(
  upload: Uint8Array,
  files: FilesSink,
  options: { readonly limits?: BundleLimits; readonly nowMs?: () => number } = {},
): Promise<Upload> {
  const { limits = bundleLimits, nowMs = () => performance.now() } = options
  if (upload.length > limits.uploadBytesMax) {
    throw new BundleRefused(`it is larger than ${sizeText(limits.uploadBytesMax)}`)
  }
  const decompress = decompressor(upload)
  if (decompress === undefined) return { source: upload, kind: 'config' }
  const endMs = nowMs() + limits.unpackMs
  const members = new BundleMembers(files)
  const reader = new TarReader(members, limits)
  for await (const chunk of decompressed(upload, decompress)) {
    reader.push(chunk)
    if (nowMs() > endMs) throw new BundleRefused(`it takes longer than ${limits.unpackMs / 1000} s to unpack`)
  }
  reader.finish()
  return { source: members.source(), kind: 'bundle' }
}

/** Undefined for what is no archive. */
function decompressor(upload: Uint8Array): (() => Transform & { readonly bytesWritten: number }) | undefined {
  const starts = (...bytes: number[]) => bytes.every((byte, index) => upload[index] === byte)
  if (starts(0x1f, 0x8b)) return () => createGunzip({ chunkSize: chunkBytes })
  if (starts(0x28, 0xb5, 0x2f, 0xfd)) {
    const params = { [constants.ZSTD_d_windowLogMax]: zstdWindowLog }
    return () => createZstdDecompress({ chunkSize: chunkBytes, params })
  }
  const other = starts(0xfd, 0x37, 0x7a, 0x58, 0x5a)
    ? 'compressed by xz'
    : starts(0x42, 0x5a, 0x68)
      ? 'compressed by bzip2'
      : starts(0x50, 0x4b, 0x03, 0x04)
        ? 'a zip archive'
        : Buffer.from(upload.subarray(257, 262)).toString('latin1') === 'ustar'
          ? 'a tar archive that is not compressed'
          : undefined
  if (other === undefined) return undefined
  throw new BundleRefused(`it is ${other}`, 'bundles are .tar.gz or .tar.zst: tar -czf bundle.tar.gz ...')
}

/** All of it has to be one compressed text: zlib would pass over what stands behind it. */
async function* decompressed(
  upload: Uint8Array,
  create: () => Transform & { readonly bytesWritten: number },
): AsyncGenerator<Uint8Array> {
  const stream = create()
  stream.end(upload)
  try {
    for await (const chunk of stream) yield chunk as Uint8Array
  } catch (error) {
    if (error instanceof BundleRefused) throw error
    throw new BundleRefused(
      `it cannot be unpacked: ${(error as Error).message}`,
      'it is damaged or was not copied whole: pack and send it again',
    )
  } finally {
    stream.destroy()
  }
  if (stream.bytesWritten !== upload.length) {
    throw new BundleRefused('something stands behind the end of the archive')
  }
}

/** Keeps what makes a bundle one: each name once, config.toml at the top, folders before what is in them. */
class BundleMembers implements TarSink {
  private readonly named = new Set<string>()
  private readonly folders = new Set<string>()
  private readonly files = new Set<string>()
  private readonly config: Uint8Array[] = []
  private inConfig = false
  private readonly sink: FilesSink

  constructor(sink: FilesSink) {
    this.sink = sink
  }

  folder(name: string): void {
    this.once(name)
    if (name !== '.') this.within(name)
  }

  file(name: string, file: TarFile): void {
    this.once(name)
    if (this.folders.has(name)) throw new BundleRefused(`${name} is a file and a folder`)
    this.files.add(name)
    this.inConfig = name === 'config.toml'
    if (this.inConfig) {
      if (file.sizeBytes > configBytesMax) {
        throw new BundleRefused(`config.toml is larger than ${sizeText(configBytesMax)}`)
      }
      return
    }
    this.within(name.slice(0, name.lastIndexOf('/')))
    this.sink.file(name, file)
  }

  data(chunk: Uint8Array): void {
    // A copy: the chunk is not ours to keep.
    if (this.inConfig) this.config.push(chunk.slice())
    else this.sink.data(chunk)
  }

  fileEnd(): void {
    if (!this.inConfig) this.sink.fileEnd()
    this.inConfig = false
  }

  source(): Uint8Array {
    if (!this.files.has('config.toml')) {
      throw new BundleRefused('it holds no config.toml', 'config.toml stands at the top, beside files/')
    }
    return Buffer.concat(this.config)
  }

  private once(name: string): void {
    if (this.named.has(name)) throw new BundleRefused(`${name} is in it twice`)
    this.named.add(name)
  }

  /** Makes this folder and those around it, where they are not there yet. */
  private within(folder: string): void {
    if (this.folders.has(folder)) return
    if (this.files.has(folder)) throw new BundleRefused(`${folder} is a file and a folder`)
    const slash = folder.lastIndexOf('/')
    if (slash > 0) this.within(folder.slice(0, slash))
    this.folders.add(folder)
    this.sink.folder(folder)
  }
}
