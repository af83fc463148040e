import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { UserError } from '../errors.ts'
import { diskError } from '../fetch/disk-error.ts'
import type { LockedFile, LockedPackage } from '../lock/lock.ts'
import type { Reporter } from '../reporter.ts'
import type { Tree, TreeNode } from '../tree/tree.ts'
import { type PackageEntry, readDebControl, unpackDeb } from './deb.ts'
import type { XzDecoder } from './decompress.ts'

/**
 * Unpacked packages, each once, under the hash of its .deb: `packages/<sha256>/content` is its
 * uncompressed tar archive, in which every file is a range; `index.json` tells which. Never changed once there.
 */
export class PackageStore {
  readonly #dir: string
  readonly #debPath: (file: LockedFile) => string
  readonly #xz: () => Promise<XzDecoder>
  readonly #reporter: Reporter
  readonly #signal: AbortSignal
  readonly #unpacking = new Map<string, Promise<string>>()

  constructor(options: {
    cacheDir: string
    /** Where the downloaded, verified .deb lies. */
    debPath: (file: LockedFile) => string
    xz: () => Promise<XzDecoder>
    reporter: Reporter
    signal: AbortSignal
  }) {
    this.#dir = join(options.cacheDir, 'packages')
    this.#debPath = options.debPath
    this.#xz = options.xz
    this.#reporter = options.reporter
    this.#signal = options.signal
  }

  has(locked: LockedPackage): boolean {
    return existsSync(join(this.#dir, locked.sha256))
  }

  /** The package's files, in merged-/usr paths, with contents as ranges of the store. */
  async packageTree(locked: LockedPackage): Promise<Tree> {
    const dir = await this.#unpacked(locked)
    const entries = JSON.parse(await readFile(join(dir, 'index.json'), 'utf8')) as PackageEntry[]
    return toTree(entries, `package ${locked.name}`, join(dir, 'content'))
  }

  /** Trees in the order of `packages`; what is missing in the store is unpacked on all cores, largest first. */
  async packageTrees(packages: readonly LockedPackage[]): Promise<Tree[]> {
    const missing = packages.filter((locked) => !this.has(locked)).sort((a, b) => b.sizeBytes - a.sizeBytes)
    if (missing.length > 0) await this.#unpackAll(missing)
    return Promise.all(packages.map((locked) => this.packageTree(locked)))
  }

  /** `control`, `conffiles` and the maintainer scripts by name, read from the .deb. */
  async packageControl(locked: LockedPackage): Promise<Map<string, string>> {
    try {
      return await readDebControl(this.#debPath(locked), this.#signal)
    } catch (error) {
      throw damaged(error, locked, this.#debPath(locked))
    }
  }

  async #unpackAll(missing: LockedPackage[]): Promise<void> {
    const total = missing.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    const task = this.#reporter.task(`unpack ${missing.length} packages`)
    let done = 0
    const queue = [...missing]
    const worker = async () => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        this.#signal.throwIfAborted()
        await this.#unpacked(next)
        done += next.sizeBytes
        task.progress(done, total, 'bytes')
      }
    }
    // One more than there are cores: while one package is being finished, the decoders stay busy.
    const workers = Array.from({ length: availableParallelism() + 1 }, worker)
    const failed = (await Promise.allSettled(workers)).find(({ status }) => status === 'rejected')
    if (failed !== undefined) {
      task.failed()
      throw (failed as PromiseRejectedResult).reason
    }
    task.done()
  }

  #unpacked(locked: LockedPackage): Promise<string> {
    let unpacking = this.#unpacking.get(locked.sha256)
    if (unpacking === undefined) {
      unpacking = this.#unpack(locked)
      this.#unpacking.set(locked.sha256, unpacking)
    }
    return unpacking
  }

  async #unpack(locked: LockedPackage): Promise<string> {
    const dir = join(this.#dir, locked.sha256)
    if (existsSync(dir)) return dir
    const xz = await this.#xz()
    const partial = join(this.#dir, `.${locked.sha256.slice(0, 16)}-${randomBytes(6).toString('hex')}`)
    try {
      await mkdir(partial, { recursive: true })
      const content = await open(join(partial, 'content'), 'wx+', 0o644)
      let entries: PackageEntry[]
      try {
        entries = await unpackDeb(this.#debPath(locked), content, xz, this.#signal)
      } finally {
        await content.close()
      }
      const lines = entries.map((entry) => JSON.stringify(entry))
      await writeFile(join(partial, 'index.json'), `[\n${lines.join(',\n')}\n]\n`)
      await rename(partial, dir).catch((error: NodeJS.ErrnoException) => {
        // Another process was faster: same hash, same content.
        if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error
      })
      return dir
    } catch (error) {
      this.#unpacking.delete(locked.sha256)
      this.#signal.throwIfAborted()
      throw diskError(error, this.#dir) ?? damaged(error, locked, this.#debPath(locked))
    } finally {
      await rm(partial, { recursive: true, force: true })
    }
  }
}

function damaged(error: unknown, locked: LockedPackage, path: string): unknown {
  if (!(error instanceof Error) || error instanceof UserError || 'syscall' in error) return error
  return new UserError(`package ${locked.name} ${locked.version} cannot be unpacked: ${error.message}`, {
    hint: `remove ${path} and run the command again: the file is then fetched and verified anew`,
    cause: error,
  })
}

/** Only these moved below /usr; a package may still ship the old names, and trees merge on the new ones. */
const mergedUsr = /^\/(?:bin|sbin|lib|lib32|lib64|libx32)(?=\/|$)/

export function toTree(entries: readonly PackageEntry[], origin: string, contentPath: string): Tree {
  const tree = new Map<string, TreeNode>()
  for (const entry of entries) {
    // The compatibility link itself (/bin -> usr/bin of base-files) stays where it is.
    const path =
      entry.type === 'symlink' && !entry.path.slice(1).includes('/') ? entry.path : merged(entry.path)
    const base = {
      mode: entry.mode,
      uid: entry.uid,
      gid: entry.gid,
      origin,
      ...(entry.xattrs === undefined ? {} : { xattrs: decodeXattrs(entry.xattrs) }),
    }
    tree.set(path, toNode(entry, base, contentPath))
  }
  return tree
}

function merged(path: string): string {
  return mergedUsr.test(path) ? `/usr${path}` : path
}

function toNode(
  entry: PackageEntry,
  base: Pick<TreeNode, 'mode' | 'uid' | 'gid' | 'origin' | 'xattrs'>,
  contentPath: string,
): TreeNode {
  if (entry.type === 'file') {
    return {
      ...base,
      type: 'file',
      content: {
        kind: 'range',
        path: contentPath,
        offsetBytes: entry.offset!,
        sizeBytes: entry.size!,
        sha256: entry.sha256!,
      },
    }
  }
  if (entry.type === 'symlink') return { ...base, type: 'symlink', target: entry.target! }
  if (entry.type === 'char' || entry.type === 'block') {
    return { ...base, type: entry.type, major: entry.major!, minor: entry.minor! }
  }
  return { ...base, type: entry.type }
}

function decodeXattrs(xattrs: Readonly<Record<string, string>>): Record<string, Uint8Array> {
  return Object.fromEntries(Object.entries(xattrs).map(([key, value]) => [key, Buffer.from(value, 'base64')]))
}
