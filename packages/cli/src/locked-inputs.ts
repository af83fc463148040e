import { existsSync } from 'node:fs'
import { requestedPackages } from '@atomixos/image/definition/index.ts'
import { UserError } from '@atomixos/image/errors.ts'
import { LockedFileGone } from '@atomixos/image/fetch/fetcher.ts'
import { type Inputs, openInputs } from '@atomixos/image/inputs.ts'
import { describeLockChange } from '@atomixos/image/lock/lock-changes.ts'
import { describeLockProblem, lockProblems } from '@atomixos/image/lock/lock-problems.ts'
import { readLock } from '@atomixos/image/lock/read-lock.ts'
import { type LockDefinition, lockDefinition } from '@atomixos/image/lock/requests.ts'
import { type UpdatedLock, updateLock } from '@atomixos/image/lock/update-lock.ts'
import { writeLock } from '@atomixos/image/lock/write-lock.ts'
import { boards } from '@atomixos/system'
import type { CommandContext } from './context.ts'

/** The targets of which a build of the device needs every file. */
const buildTargets = ['tools', 'tools-firmware', 'firmware', 'rootfs', 'initrd'] as const

/** What definitions, tool lists and package-lock.json ask the lock for, now. */
export function currentDefinition(context: CommandContext): Promise<LockDefinition> {
  return lockDefinition({
    rootDir: context.workspace.rootDir,
    deviceTrees: Object.fromEntries(requestedPackages(Object.values(boards))),
  })
}

/**
 * The inputs of a build, all fetched. A lock that does not match the definition is refused. When the mirror has
 * dropped a locked file, the targets it belongs to are resolved again, loudly; with `frozen` that is refused too.
 */
export async function openLockedInputs(
  context: CommandContext,
  options: { frozen?: boolean; targets?: readonly string[] },
): Promise<Inputs> {
  const { workspace, reporter } = context
  if (!existsSync(workspace.lockPath)) {
    throw new UserError(`${workspace.lockPath} is not there`, {
      hint: 'it belongs to the repository: restore it with git',
    })
  }
  const lock = await readLock(workspace.lockPath)
  const stale = lockProblems(lock, await currentDefinition(context))
  if (stale.length > 0) {
    throw new UserError(stale.map(describeLockProblem).join('\n'), {
      hint: 'run `./atomixos lock`, look at what changed, then build again',
      exitCode: 2,
    })
  }
  const targets = options.targets ?? buildTargets
  const inputs = await openInputs({ ...context, lock })
  try {
    await fetchAll(inputs, targets)
    return inputs
  } catch (error) {
    if (!(error instanceof LockedFileGone)) throw error
    if (options.frozen) {
      throw new UserError(`${error.message}; --frozen refuses to take what replaced it`, {
        hint: 'set ATOMIXOS_DEBIAN_SNAPSHOT to an archive that keeps old versions, or run `./atomixos lock --update` and commit the lock',
        cause: error,
      })
    }
    reporter.warn(`${error.message}; resolving ${error.targets.join(', ')} again`)
    const renewed = await renewLock(context, inputs, { newest: false, gone: error.targets })
    reporter.warn('atomixos.lock.json was changed; look at the difference and commit it')
    const renewedInputs = await openInputs({ ...context, lock: renewed.lock })
    await fetchAll(renewedInputs, targets)
    return renewedInputs
  }
}

/** Resolves what must be, writes the lock, and says what changed. */
export async function renewLock(
  context: CommandContext,
  inputs: Inputs,
  options: { newest: boolean; gone?: readonly string[] },
): Promise<UpdatedLock> {
  const updated = await updateLock({
    ...context,
    ...options,
    inputs,
    definition: await currentDefinition(context),
  })
  if (updated.lock !== inputs.lock) await writeLock(context.workspace.lockPath, updated.lock)
  for (const change of updated.changes) context.reporter.info(describeLockChange(change))
  return updated
}

async function fetchAll(inputs: Inputs, targets: readonly string[]): Promise<void> {
  await inputs.fetchTargets(...targets)
  if (targets.includes('tools-firmware')) await inputs.sourceFiles('u-boot')
}
