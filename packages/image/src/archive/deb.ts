import { createHash, type Hash, hash } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { posix } from 'node:path'
import type { ArMember } from './ar.ts'
import { readArMembers } from './ar.ts'
import { decompressedStream, decompressMember, type XzDecoder } from './decompress.ts'
import { type TarEntry, TarReader } from './tar.ts'

/** One path of a package. `offset`, `size` and `sha256` tell where a file's bytes are in the content file. */
export interface PackageEntry {
  readonly path: string
  readonly type: 'file' | 'directory' | 'symlink' | 'char' | 'block' | 'fifo'
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly target?: string
  readonly major?: number
  readonly minor?: number
  readonly offset?: number
  readonly size?: number
  readonly sha256?: string
  /** Values in base64. */
  readonly xattrs?: Readonly<Record<string, string>>
}

const readBytes = 4 << 20

/**
 * Writes the package's uncompressed tar archive to `content`, an open empty file, and returns its entries in
 * archive order; the bytes of each file are a range of `content`. Throws an Error that tells what is wrong.
 */
export async function unpackDeb(
  debPath: string,
  content: FileHandle,
  xz: XzDecoder,
  signal: AbortSignal,
): Promise<PackageEntry[]> {
  await decompressMember(debPath, await memberOf(debPath, 'data.tar'), content, xz, signal)
  const builder = new IndexBuilder()
  const reader = new TarReader(builder)
  const buffer = Buffer.allocUnsafe(Math.min(readBytes, (await content.stat()).size + 1))
  for (let position = 0; ; ) {
    const { bytesRead } = await content.read(buffer, 0, buffer.length, position)
    if (bytesRead === 0) break
    reader.push(buffer.subarray(0, bytesRead))
    position += bytesRead
  }
  reader.end()
  return builder.entries
}

/** The files of control.tar as text by name: `control`, `conffiles`, `postinst`... */
export async function readDebControl(debPath: string, signal: AbortSignal): Promise<Map<string, string>> {
  const files = new Map<string, string>()
  let name = ''
  let parts: Buffer[] = []
  const reader = new TarReader({
    entry(entry) {
      name = posix.normalize(entry.path)
      parts = []
    },
    data: (bytes) => void parts.push(Buffer.from(bytes)),
    fileEnd: () => void files.set(name, Buffer.concat(parts).toString('utf8')),
  })
  const member = await memberOf(debPath, 'control.tar')
  for await (const chunk of decompressedStream(debPath, member, signal)) reader.push(chunk)
  reader.end()
  return files
}

async function memberOf(debPath: string, stem: string): Promise<ArMember> {
  const file = await open(debPath)
  try {
    const members = await readArMembers(file)
    if (members[0]?.name !== 'debian-binary') throw new Error('its first member is not debian-binary')
    const found = members.find(({ name }) => name === stem || name.startsWith(`${stem}.`))
    if (found === undefined) throw new Error(`it has no ${stem}`)
    return found
  } finally {
    await file.close()
  }
}

class IndexBuilder {
  readonly entries: PackageEntry[] = []
  readonly #byPath = new Map<string, PackageEntry>()
  #current: TarEntry | undefined
  #sha256: string | undefined
  #hash: Hash | undefined

  entry(entry: TarEntry): void {
    const path = absolutePath(entry.path)
    if (entry.type === 'file') {
      this.#current = { ...entry, path }
      this.#sha256 = undefined
      this.#hash = undefined
      return
    }
    const base = { path, mode: entry.mode, uid: entry.uid, gid: entry.gid, ...encodeXattrs(entry.xattrs) }
    if (entry.type === 'hardlink') {
      const original = this.#byPath.get(absolutePath(entry.link))
      if (original?.type !== 'file')
        throw new Error(`${path} is a hard link to ${entry.link}, which is not there`)
      this.#add({ ...original, path })
    } else if (entry.type === 'symlink')
      this.#add({ ...base, type: 'symlink', mode: 0o777, target: entry.link })
    else if (entry.type === 'char' || entry.type === 'block') {
      this.#add({ ...base, type: entry.type, major: entry.major, minor: entry.minor })
    } else this.#add({ ...base, type: entry.type })
  }

  data(bytes: Buffer): void {
    // Most files come in one piece, for which the one-shot function is several times as fast.
    if (bytes.length === this.#current!.sizeBytes) this.#sha256 = hash('sha256', bytes, 'hex')
    else {
      this.#hash ??= createHash('sha256')
      this.#hash.update(bytes)
    }
  }

  fileEnd(): void {
    const { path, mode, uid, gid, offsetBytes: offset, sizeBytes: size, xattrs } = this.#current!
    const sha256 = this.#sha256 ?? (this.#hash ?? createHash('sha256')).digest('hex')
    this.#add({ path, type: 'file', mode, uid, gid, offset, size, sha256, ...encodeXattrs(xattrs) })
  }

  #add(entry: PackageEntry): void {
    this.entries.push(entry)
    this.#byPath.set(entry.path, entry)
  }
}

function absolutePath(path: string): string {
  if (path.split('/').includes('..')) throw new Error(`it holds a path that leaves the archive: ${path}`)
  const normal = posix.normalize(`/${path}`)
  return normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal
}

function encodeXattrs(xattrs: TarEntry['xattrs']): Pick<PackageEntry, 'xattrs'> {
  if (xattrs === undefined) return {}
  return {
    xattrs: Object.fromEntries(
      Object.entries(xattrs).map(([key, value]) => [key, Buffer.from(value).toString('base64')]),
    ),
  }
}
