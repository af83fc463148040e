import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { UserError } from '../errors.ts'
import type { LockedFile } from '../lock/lock.ts'
import type { Reporter } from '../reporter.ts'
import { download, FileNotThere } from './download.ts'
import { addressesOf, type Mirrors } from './mirrors.ts'

/** A file of the lock and what it is locked for: a target's or a source's name. */
export interface WantedFile {
  readonly file: LockedFile
  readonly wantedBy: string
}

/** Locked files that the mirror (and the snapshot archive, if one is set) no longer has. */
export class LockedFileGone extends UserError {
  readonly files: readonly WantedFile[]
  /** Names of targets and sources to be resolved again. Sorted. */
  readonly targets: readonly string[]

  constructor(files: readonly WantedFile[]) {
    const targets = [...new Set(files.map(({ wantedBy }) => wantedBy))].sort()
    const names = [...new Set(files.map(({ file }) => fileName(file)))]
    const shown = names.length > 5 ? [...names.slice(0, 5), `and ${names.length - 5} more`] : names
    super(`the mirror no longer has ${shown.join(', ')} (locked for ${targets.join(', ')})`, {
      hint: 'run `./atomixos lock` to take what replaced it, or set ATOMIXOS_DEBIAN_SNAPSHOT to an archive that keeps old versions',
    })
    this.files = files
    this.targets = targets
  }
}

/** Six connections: enough to hide the latency of small files, polite to a mirror. */
const connections = 6

/** Brings locked files to `downloads/<sha256>`, each verified before it gets that name. */
export class Fetcher {
  readonly dir: string
  readonly #mirrors: () => Mirrors
  readonly #epochSeconds: number
  readonly #reporter: Reporter
  readonly #signal: AbortSignal

  constructor(options: {
    cacheDir: string
    /** Called when something must be fetched: a full cache works without any mirror. */
    mirrors: () => Mirrors
    /** The lock's time stamp: which snapshot to ask for. */
    epochSeconds: number
    reporter: Reporter
    signal: AbortSignal
  }) {
    this.dir = join(options.cacheDir, 'downloads')
    this.#mirrors = options.mirrors
    this.#epochSeconds = options.epochSeconds
    this.#reporter = options.reporter
    this.#signal = options.signal
  }

  pathOf(file: Pick<LockedFile, 'sha256'>): string {
    return join(this.dir, file.sha256)
  }

  /** Throws LockedFileGone naming all that are gone, or UserError. */
  async fetch(wanted: readonly WantedFile[]): Promise<void> {
    const unique = new Map(wanted.map((want) => [want.file.sha256, want]))
    const missing = [...unique.values()].filter(({ file }) => !existsSync(this.pathOf(file)))
    if (missing.length === 0) return
    const mirrors = this.#mirrors()
    const total = missing.reduce((sum, { file }) => sum + file.sizeBytes, 0)
    const task = this.#reporter.task(`fetch ${missing.length} files`)
    const gone: WantedFile[] = []
    const stop = new AbortController()
    const signal = AbortSignal.any([this.#signal, stop.signal])
    let done = 0
    // Large ones first, so that the end is not one connection waiting for the kernel.
    const queue = missing.toSorted((a, b) => b.file.sizeBytes - a.file.sizeBytes)
    const connection = async () => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        signal.throwIfAborted()
        const { file } = next
        try {
          await download(
            {
              addresses: addressesOf(mirrors, file, this.#epochSeconds),
              path: this.pathOf(file),
              sizeBytes: file.sizeBytes,
              sha256: file.sha256,
              title: fileName(file),
            },
            {
              signal,
              onBytes: (count) => {
                done += count
                task.progress(done, total, 'bytes')
              },
            },
          )
        } catch (error) {
          if (!(error instanceof FileNotThere)) throw error
          gone.push(next)
        }
      }
    }
    let failure: unknown
    await Promise.all(
      Array.from({ length: connections }, () =>
        connection().catch((error: unknown) => {
          failure ??= error
          stop.abort()
        }),
      ),
    )
    if (failure === undefined && gone.length > 0) {
      const hashes = new Set(gone.map(({ file }) => file.sha256))
      failure = new LockedFileGone(wanted.filter(({ file }) => hashes.has(file.sha256)))
    }
    if (failure !== undefined) {
      task.failed()
      this.#signal.throwIfAborted()
      throw failure
    }
    task.done()
  }
}

function fileName(file: LockedFile): string {
  return file.path.slice(file.path.lastIndexOf('/') + 1)
}
