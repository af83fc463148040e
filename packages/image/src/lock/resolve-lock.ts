import { LockedFileGone } from '../fetch/fetcher.ts'
import type { Mirrors } from '../fetch/mirrors.ts'
import type { Reporter } from '../reporter.ts'
import type { ToolTree } from '../tools/tools.ts'
import { Apt, type KeptPackage, type PreviousTarget } from './apt.ts'
import { parseStanzas } from './apt-output.ts'
import { fetchIndices } from './indices.ts'
import type { Lock, LockedPackage, LockedSource, LockedTarget } from './lock.ts'
import type { LockDefinition } from './requests.ts'
import { openLockWorkDir } from './work-dir.ts'

export interface ResolveOptions {
  readonly definition: LockDefinition
  /** The lock whose versions stay where they can; undefined: take the newest of everything. */
  readonly previous: Lock | undefined
  /** Targets and sources to be asked for again; the others are taken over from `previous` as they are. */
  readonly stale: ReadonlySet<string>
  /** The control file of a locked package. Throws LockedFileGone when it cannot be had any more. */
  readonly readControl: (target: string, locked: LockedPackage) => Promise<string>
  /** A tree of the target `tools-lock`. */
  readonly tools: ToolTree
  readonly mirrors: Mirrors
  readonly cacheDir: string
  readonly reporter: Reporter
  readonly signal: AbortSignal
}

/** Asks the mirror for its signed indices and apt for the packages. Throws UserError. */
export async function resolveLock(options: ResolveOptions): Promise<Lock> {
  const { definition, previous, reporter, signal, tools } = options
  await using work = await openLockWorkDir(options.cacheDir)
  const { mirrorDir } = work
  const requests = Object.entries(definition.targets).sort(([a], [b]) => (a < b ? -1 : 1))
  const taken = (name: string) => (options.stale.has(name) ? undefined : previous?.targets[name])
  const asked = requests.filter(([name]) => taken(name) === undefined)
  const takenSource = (name: string) => (options.stale.has(name) ? undefined : previous?.sources[name])
  const askedSources = definition.sources.filter((name) => takenSource(name) === undefined)
  // Sources are the same whatever the architecture.
  const wanted = asked.length > 0 ? asked : requests.slice(0, 1)
  const architectures = [...new Set(wanted.map(([, { architecture }]) => architecture))].sort()
  const indices = await fetchIndices({
    mirrors: options.mirrors,
    mirrorDir,
    indexDir: work.indexDir,
    indices: [
      ...architectures.map((name) => `main/binary-${name}/Packages`),
      ...(askedSources.length > 0 ? ['main/source/Sources'] : []),
    ],
    reporter,
    signal,
  })
  const task = reporter.task('resolve packages')
  try {
    const targets: Record<string, LockedTarget> = {}
    const sources: Record<string, LockedSource> = {}
    let done = 0
    for (const architecture of architectures) {
      const withSources = architecture === architectures[0] && askedSources.length > 0
      const apt = await Apt.open({ tools, mirrorDir, workDir: work.path, architecture, withSources, signal })
      for (const [name, request] of asked) {
        if (request.architecture !== architecture) continue
        const locked = previous?.targets[name]
        const kept =
          locked?.architecture === architecture ? await keep(apt, name, locked, options) : undefined
        const packages = await apt.solve(name, request, kept)
        targets[name] = { architecture, requested: request.packages, omitted: request.omit, packages }
        task.progress(++done, asked.length, 'items')
      }
      if (withSources) for (const name of askedSources) sources[name] = await apt.source(name)
    }
    task.done()
    return {
      version: 1,
      series: indices.series,
      sourceDateEpoch: indices.sourceDateEpoch,
      archives: indices.archives,
      targets: Object.fromEntries(requests.map(([name]) => [name, targets[name] ?? taken(name)!])),
      sources: Object.fromEntries(
        [...definition.sources].sort().map((name) => [name, sources[name] ?? takenSource(name)!]),
      ),
      npm: definition.npm,
    }
  } catch (error) {
    task.failed()
    throw error
  }
}

/**
 * What apt is told to be installed already. Nothing, when the file of even one package is gone: others may depend on
 * the very version, and what the indices hold is what belongs together.
 */
async function keep(
  apt: Apt,
  target: string,
  locked: LockedTarget,
  options: ResolveOptions,
): Promise<PreviousTarget | undefined> {
  const records = await apt.records(locked.packages.map(({ name }) => name))
  const kept: KeptPackage[] = []
  try {
    for (const entry of locked.packages) {
      const record = records.get(entry.path)
      // Superseded, but perhaps still there: then its own control file tells what it needs.
      const control =
        record?.get('sha256') === entry.sha256
          ? record
          : parseStanzas(await options.readControl(target, entry))[0]!
      kept.push({ locked: entry, control })
    }
  } catch (error) {
    if (error instanceof LockedFileGone) return undefined
    throw error
  }
  return { packages: kept, omitted: locked.omitted }
}
