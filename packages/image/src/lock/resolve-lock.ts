import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Mirrors } from '../fetch/mirrors.ts'
import type { Reporter } from '../reporter.ts'
import type { ToolTree } from '../tools/tools.ts'
import { Apt } from './apt.ts'
import { fetchIndices } from './indices.ts'
import type { Lock, LockedNpmPackage, LockedSource, LockedTarget } from './lock.ts'
import type { LockRequests } from './requests.ts'

export interface ResolveOptions {
  readonly requests: LockRequests
  readonly sources: readonly string[]
  readonly npm: readonly LockedNpmPackage[]
  /** A tree of the target `tools-lock`. */
  readonly tools: ToolTree
  readonly mirrors: Mirrors
  readonly cacheDir: string
  readonly reporter: Reporter
  readonly signal: AbortSignal
}

/** Asks the mirror for its signed indices and apt for the packages. Throws UserError. */
export async function resolveLock(options: ResolveOptions): Promise<Lock> {
  const workDir = join(options.cacheDir, 'lock')
  const mirrorDir = join(workDir, 'mirror')
  await rm(mirrorDir, { recursive: true, force: true })
  await mkdir(mirrorDir, { recursive: true })
  const architectures = [
    ...new Set(Object.values(options.requests).map(({ architecture }) => architecture)),
  ].sort()
  const indices = await fetchIndices({
    mirrors: options.mirrors,
    mirrorDir,
    indexDir: join(workDir, 'indices'),
    architectures,
    reporter: options.reporter,
    signal: options.signal,
  })
  const task = options.reporter.task('resolve packages')
  try {
    const targets: Record<string, LockedTarget> = {}
    const sources: Record<string, LockedSource> = {}
    let done = 0
    for (const architecture of architectures) {
      const apt = await Apt.open({
        tools: options.tools,
        mirrorDir,
        workDir,
        architecture,
        signal: options.signal,
      })
      for (const [name, request] of Object.entries(options.requests)) {
        if (request.architecture !== architecture) continue
        const packages = await apt.solve(name, request.packages)
        targets[name] = { architecture, requested: [...request.packages].sort(), packages }
        task.progress(++done, Object.keys(options.requests).length, 'items')
      }
      if (architecture === architectures[0]) {
        for (const name of options.sources) sources[name] = await apt.source(name)
      }
    }
    task.done()
    return {
      version: 1,
      series: indices.series,
      sourceDateEpoch: indices.sourceDateEpoch,
      archives: indices.archives,
      targets: Object.fromEntries(Object.entries(targets).sort(([a], [b]) => (a < b ? -1 : 1))),
      sources,
      npm: options.npm,
    }
  } catch (error) {
    task.failed()
    throw error
  }
}
