import { createHash, type Hash } from 'node:crypto'
import { writeSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { posix } from 'node:path'
import type { ArMember } from './ar.ts'
import { readArMembers } from './ar.ts'
import { decompressMember, type XzDecoder } from './decompress.ts'
import { type TarEntry, TarReader } from './tar.ts'

/** One path of a package. `offset`, `size` and `sha256` tell where a file's bytes are in the content blob. */
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

/**
 * Writes the contents of all files of a .deb one after another to `blob` (an open file descriptor) and returns
 * the entries in archive order. Throws an Error that tells what is wrong with the archive.
 */
export async function unpackDeb(
  debPath: string,
  blob: number,
  xz: XzDecoder,
  signal: AbortSignal,
): Promise<PackageEntry[]> {
  const builder = new IndexBuilder(blob)
  const reader = new TarReader(builder)
  const member = await memberOf(debPath, 'data.tar')
  for await (const chunk of decompressMember(debPath, member, xz, signal)) reader.push(chunk)
  reader.end()
  return builder.finish()
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
  for await (const chunk of decompressMember(debPath, member, { kind: 'wasm' }, signal)) reader.push(chunk)
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

const bufferBytes = 4 << 20

class IndexBuilder {
  readonly #blob: number
  readonly #entries: PackageEntry[] = []
  readonly #byPath = new Map<string, PackageEntry>()
  readonly #buffer = Buffer.allocUnsafe(bufferBytes)
  #fill = 0
  #offset = 0
  #current: TarEntry | undefined
  #hash: Hash | undefined

  constructor(blob: number) {
    this.#blob = blob
  }

  entry(entry: TarEntry): void {
    const path = absolutePath(entry.path)
    if (entry.type === 'file') {
      this.#current = { ...entry, path }
      this.#hash = createHash('sha256')
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
    this.#hash!.update(bytes)
    this.#offset += bytes.length
    if (this.#fill + bytes.length > bufferBytes) this.#flush()
    if (bytes.length > bufferBytes) writeAll(this.#blob, bytes)
    else {
      bytes.copy(this.#buffer, this.#fill)
      this.#fill += bytes.length
    }
  }

  fileEnd(): void {
    const { path, mode, uid, gid, sizeBytes: size, xattrs } = this.#current!
    const sha256 = this.#hash!.digest('hex')
    const offset = this.#offset - size
    this.#add({ path, type: 'file', mode, uid, gid, offset, size, sha256, ...encodeXattrs(xattrs) })
  }

  finish(): PackageEntry[] {
    this.#flush()
    return this.#entries
  }

  #add(entry: PackageEntry): void {
    this.#entries.push(entry)
    this.#byPath.set(entry.path, entry)
  }

  #flush(): void {
    writeAll(this.#blob, this.#buffer.subarray(0, this.#fill))
    this.#fill = 0
  }
}

function writeAll(descriptor: number, bytes: Buffer): void {
  let at = 0
  while (at < bytes.length) at += writeSync(descriptor, bytes, at)
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
