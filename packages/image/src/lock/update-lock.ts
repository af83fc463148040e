import type { Inputs } from '../inputs.ts'
import type { Reporter } from '../reporter.ts'
import type { Workspace } from '../workspace.ts'
import type { Lock } from './lock.ts'
import { type LockChange, lockChanges } from './lock-changes.ts'
import { lockProblems } from './lock-problems.ts'
import type { LockDefinition } from './requests.ts'
import { resolveLock } from './resolve-lock.ts'

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
  const lock = await resolveLock({
    definition,
    previous: options.newest ? undefined : before,
    stale,
    readControl: async (target, { name }) => (await inputs.packageControl(target, name)).get('control') ?? '',
    tools: await inputs.toolTree('tools-lock'),
    mirrors: inputs.mirrors(),
    cacheDir: options.workspace.cacheDir,
    reporter,
    signal,
  })
  return { lock, changes: lockChanges(before, lock) }
}
