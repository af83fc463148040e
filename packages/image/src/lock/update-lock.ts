import { LockedFileGone } from '../fetch/fetcher.ts'
import type { Inputs } from '../inputs.ts'
import type { Reporter } from '../reporter.ts'
import { hostArchitecture } from '../tools/host.ts'
import { toolLockTarget, toolTargets } from '../tools/targets.ts'
import type { Workspace } from '../workspace.ts'
import { bootstrapToolPackages } from './bootstrap-tools.ts'
import type { Lock } from './lock.ts'
import { type LockChange, lockChanges } from './lock-changes.ts'
import { lockProblems } from './lock-problems.ts'
import type { LockDefinition } from './requests.ts'
import { resolveLock } from './resolve-lock.ts'
import { openLockWorkDir } from './work-dir.ts'

export interface UpdatedLock {
  readonly lock: Lock
  /** Empty: nothing had to be done, and the lock is the one that was there. */
  readonly changes: readonly LockChange[]
}

/**
 * A lock that answers `definition`, made with the tools of the present one; the caller writes it (`writeLock`).
 *
 * Without `newest`, only what no longer matches is asked for again, and of that the versions stay where they can.
 * `gone` names targets and sources to be asked for again in any case: those whose files the mirror has dropped.
 */
export async function updateLock(options: {
  readonly inputs: Inputs
  readonly workspace: Workspace
  readonly definition: LockDefinition
  readonly newest: boolean
  readonly gone?: readonly string[]
  readonly reporter: Reporter
  readonly signal: AbortSignal
}): Promise<UpdatedLock> {
  const { inputs, definition, reporter, signal } = options
  const before = inputs.lock
  const problems = lockProblems(before, definition)
  const gone = options.gone ?? []
  if (!options.newest && problems.length === 0 && gone.length === 0) return { lock: before, changes: [] }
  const stale = new Set([...problems.map(({ target }) => target), ...gone])
  if (!options.newest && [...stale].every((name) => name === 'npm')) {
    const lock = { ...before, npm: definition.npm }
    return { lock, changes: lockChanges(before, lock) }
  }
  const { tools, locked } = await openSolver(options)
  if (!locked) stale.add(toolLockTarget('tools-lock', hostArchitecture().debian))
  const resolve = () =>
    resolveLock({
      definition,
      previous: options.newest ? undefined : before,
      stale,
      readControl: async (target, { name }) =>
        (await inputs.packageControl(target, name)).get('control') ?? '',
      tools,
      mirrors: inputs.mirrors(),
      cacheDir: options.workspace.cacheDir,
      reporter,
      signal,
    })
  let lock = await resolve()
  // What is gone for one target is gone for the others that hold the same file.
  const shared = gone.length > 0 || !locked ? targetsWithReplacedFiles(before, lock, stale) : []
  if (shared.length > 0) {
    for (const name of shared) stale.add(name)
    lock = await resolve()
  }
  const changes = lockChanges(before, lock)
  if (changes.some(({ to }) => to !== undefined)) return { lock, changes }
  // Indices are signed anew every few hours. As long as they bring nothing, every time stamp of a build stays.
  if (changes.length === 0 && problems.length === 0) return { lock: before, changes }
  const { sourceDateEpoch, archives } = before
  return { lock: { ...lock, sourceDateEpoch, archives }, changes }
}

/** The tree with apt in it: the locked one, or where the mirror has dropped its packages one made of their successors. */
async function openSolver(options: Parameters<typeof updateLock>[0]) {
  const { inputs, reporter, signal, workspace } = options
  try {
    return { tools: await inputs.toolTree('tools-lock'), locked: true }
  } catch (error) {
    if (!(error instanceof LockedFileGone)) throw error
    reporter.warn(`${error.message}; its successors are verified with the archive keys of this repository`)
  }
  await using work = await openLockWorkDir(workspace.cacheDir)
  const packages = await bootstrapToolPackages({
    requested: toolTargets['tools-lock'],
    architecture: hostArchitecture().debian,
    mirrors: inputs.mirrors(),
    mirrorDir: work.mirrorDir,
    indexDir: work.indexDir,
    reporter,
    signal,
  })
  return { tools: await inputs.toolTreeOf('tools-lock', packages), locked: false }
}

function targetsWithReplacedFiles(before: Lock, after: Lock, stale: ReadonlySet<string>): string[] {
  const hashes = (lock: Lock, name: string) =>
    (lock.targets[name]?.packages ?? []).map(({ sha256 }) => sha256)
  const replaced = new Set([...stale].flatMap((name) => hashes(before, name)))
  for (const name of stale) for (const sha256 of hashes(after, name)) replaced.delete(sha256)
  return Object.keys(before.targets).filter(
    (name) => !stale.has(name) && hashes(before, name).some((sha256) => replaced.has(sha256)),
  )
}
