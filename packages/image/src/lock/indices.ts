import { createHash } from 'node:crypto'
import { copyFile, mkdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { UserError } from '../errors.ts'
import { download, FileNotThere } from '../fetch/download.ts'
import type { Mirrors } from '../fetch/mirrors.ts'
import type { Reporter } from '../reporter.ts'
import type { LockedArchive } from './lock.ts'

/** The suites a lock is made from; main only. */
export const suites = [
  { archive: 'debian', suite: 'trixie' },
  { archive: 'debian', suite: 'trixie-updates' },
  { archive: 'debian-security', suite: 'trixie-security' },
] as const

export interface FetchedIndices {
  /** Debian codename of the main suite. */
  readonly series: string
  readonly archives: readonly LockedArchive[]
  /** Of the newest Release file, seconds since 1970. */
  readonly sourceDateEpoch: number
}

/**
 * Brings the signed Release files and the indices they name into `mirrorDir`, laid out as a mirror is. Without
 * `checkRelease` nothing here is trusted yet: apt checks the signatures and every hash when it reads the copy.
 */
export async function fetchIndices(options: {
  readonly mirrors: Mirrors
  readonly mirrorDir: string
  /** Indices by hash, kept between runs. */
  readonly indexDir: string
  /** Such as `main/binary-arm64/Packages`, without the ending. */
  readonly indices: readonly string[]
  /** The signed part of a Release file; undefined: apt will check it later. */
  readonly checkRelease?: (text: string, title: string) => Promise<string>
  readonly reporter: Reporter
  readonly signal: AbortSignal
}): Promise<FetchedIndices> {
  const task = options.reporter.task('fetch package indices')
  let done = 0
  const onBytes = (count: number) => {
    done += count
    task.progress(done, undefined, 'bytes')
  }
  try {
    const releases = await Promise.all(
      suites.map(async ({ archive, suite }) => {
        const base = `${options.mirrors[archive]}/dists/${suite}`
        const suiteDir = join(options.mirrorDir, archive, 'dists', suite)
        const bring = (
          address: string,
          path: string,
          title: string,
          hash?: { sha256: string; sizeBytes: number },
        ) =>
          download(
            { addresses: [address], path, title, sizeBytes: hash?.sizeBytes, sha256: hash?.sha256 },
            { signal: options.signal, onBytes },
          )
        const releasePath = join(suiteDir, 'InRelease')
        await bring(`${base}/InRelease`, releasePath, `${archive} ${suite} InRelease`)
        const text = await readFile(releasePath, 'utf8')
        const title = `${archive} ${suite} InRelease`
        const release = parseRelease((await options.checkRelease?.(text, title)) ?? text, title)
        for (const index of options.indices.map((name) => `${name}.xz`)) {
          const hash = release.files.get(index)
          if (hash === undefined) throw new UserError(`${title} names no ${index}`)
          const kept = join(options.indexDir, hash.sha256)
          const byHash = `${base}/${dirname(index)}/by-hash/SHA256/${hash.sha256}`
          const indexTitle = `${archive} ${suite} ${index}`
          await bring(byHash, kept, indexTitle, hash).catch(async (error) => {
            // Not every mirror carries the by-hash names.
            if (!(error instanceof FileNotThere)) throw error
            await bring(`${base}/${index}`, kept, indexTitle, hash)
          })
          await mkdir(dirname(join(suiteDir, index)), { recursive: true })
          await copyFile(kept, join(suiteDir, index))
        }
        const releaseSha256 = createHash('sha256').update(text).digest('hex')
        return { archive, suite, releaseSha256, releaseDate: release.date, codename: release.codename }
      }),
    )
    task.done()
    return {
      series: releases[0]!.codename,
      archives: releases.map(({ codename: _, ...archive }) => archive),
      sourceDateEpoch: Math.max(...releases.map(({ releaseDate }) => Date.parse(releaseDate) / 1000)),
    }
  } catch (error) {
    task.failed()
    throw error
  }
}

export interface Release {
  readonly codename: string
  /** ISO 8601, UTC. */
  readonly date: string
  /** From the SHA256 section. */
  readonly files: ReadonlyMap<string, { readonly sha256: string; readonly sizeBytes: number }>
}

export function parseRelease(text: string, source: string): Release {
  const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(text)?.[1]
  const codename = field('Codename')
  const date = Date.parse(field('Date') ?? '')
  const section = /^SHA256:\n((?: .*\n)+)/m.exec(text)?.[1]
  if (codename === undefined || Number.isNaN(date) || section === undefined) {
    throw new UserError(`${source} is not a Release file of a Debian archive`, {
      hint: 'check ATOMIXOS_DEBIAN_MIRROR: it must be the folder that holds dists/ and pool/',
    })
  }
  const files = new Map<string, { sha256: string; sizeBytes: number }>()
  for (const [, sha256, size, path] of section.matchAll(/^ ([0-9a-f]{64}) +(\d+) (\S+)$/gm)) {
    files.set(path!, { sha256: sha256!, sizeBytes: Number(size) })
  }
  return { codename, date: new Date(date).toISOString().replace('.000Z', 'Z'), files }
}
