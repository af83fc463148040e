import { mkdir, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import type { CommandContext } from '@atomixos/cli/context.ts'
import { currentDefinition } from '@atomixos/cli/locked-inputs.ts'
import { findBoard, openComposeContext, partsOf } from '@atomixos/cli/pipeline.ts'
import { openInputs } from '@atomixos/image/inputs.ts'
import type { Lock, LockedPackage } from '@atomixos/image/lock/lock.ts'
import { readLock } from '@atomixos/image/lock/read-lock.ts'
import { updateLock } from '@atomixos/image/lock/update-lock.ts'

/** One build of the product, as a release that follows another one. */
export interface ReleaseWanted {
  readonly version: string
  readonly lock: Lock
  /** One line more in the device's program. */
  readonly changedLine?: boolean
}

export interface BuiltRelease {
  readonly version: string
  readonly bundlePath: string
  readonly bootSlotPath: string
  readonly rootfsPath: string
}

/** The product with the release's own compression; what other builds have made is not made again. */
export async function buildRelease(
  context: CommandContext,
  wanted: ReleaseWanted,
  workDir: string,
): Promise<BuiltRelease> {
  const { version, lock } = wanted
  const product = findBoard('rock64')
  const { signing, ...composing } = await openComposeContext(context, product, {})
  const inputs = await openInputs({ ...context, lock })
  await inputs.fetchTargets('rootfs', 'initrd')
  const { deviceEntryPath } = composing
  const changed = {
    ...composing,
    inputs,
    facts: { ...composing.facts, version },
    deviceEntryPath: wanted.changedLine ? await longerEntry(deviceEntryPath, workDir) : deviceEntryPath,
  }
  const parts = partsOf(context, product, { composing: changed, signing })
  const [{ path: bootSlotPath }, { path: rootfsPath }] = [await parts.bootSlot(), await parts.squashfs()]
  return { version, bundlePath: (await parts.bundle()).path, bootSlotPath, rootfsPath }
}

/** The device's program with one more line at its end. */
async function longerEntry(entryPath: string, workDir: string): Promise<string> {
  const dir = join(workDir, 'changed')
  await mkdir(dir, { recursive: true })
  const path = join(dir, 'main.ts')
  await writeFile(
    path,
    `import '${relative(dir, entryPath)}'\nprocess.title = 'atomixctl, with one more line'\n`,
  )
  return path
}

/** What the mirror has now, with the same definition. */
export async function newestLock(context: CommandContext): Promise<{ before: Lock; newest: Lock }> {
  const before = await readLock(context.workspace.lockPath)
  const inputs = await openInputs({ ...context, lock: before })
  const definition = await currentDefinition(context)
  const { lock } = await updateLock({ ...context, inputs, definition, newest: true })
  return { before, newest: lock }
}

/** `before`, with the device's packages that `which` names as `newest` has them. The time stamp is that of the newest. */
export function mixedLock(before: Lock, newest: Lock, which: (name: string) => boolean): Lock {
  const packagesOf = (target: string): LockedPackage[] => [
    ...before.targets[target]!.packages.filter(({ name }) => !which(name)),
    ...newest.targets[target]!.packages.filter(({ name }) => which(name)),
  ]
  const targets = Object.fromEntries(
    Object.entries(before.targets).map(([name, target]) => [
      name,
      name === 'rootfs' || name === 'initrd' ? { ...target, packages: sorted(packagesOf(name)) } : target,
    ]),
  )
  return { ...before, sourceDateEpoch: newest.sourceDateEpoch, archives: newest.archives, targets }
}

function sorted(packages: readonly LockedPackage[]): LockedPackage[] {
  return packages.toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

export const isKernel = (name: string) => name.startsWith('linux-image-')
