import { stat } from 'node:fs/promises'
import { UserError } from '../errors.ts'
import type { Reporter } from '../reporter.ts'
import { type Disk, targetProblems } from './disk.ts'
import { findTarget } from './find-target.ts'
import type { FlashImage } from './flash-image.ts'
import { type BootFiles, planBootFiles } from './seed.ts'
import { openTarget } from './target.ts'
import { type Written, writeImage } from './write-image.ts'

export interface FlashPlan extends BootFiles {
  readonly image: FlashImage
  /** As it was shown to the person who confirmed. */
  readonly disk: Disk
}

/** Throws UserError with every reason why an image of that size must not be written to this disk. */
export function refuseDisk(disk: Disk, imageBytes: number): void {
  const problems = targetProblems(disk, imageBytes)
  if (problems.length === 0) return
  throw new UserError(problems.map(({ message }) => message).join('\n'), {
    hint: [...new Set(problems.map(({ hint }) => hint))].join('\n'),
    exitCode: 2,
  })
}

/** Throws UserError when a file is to be overwritten with itself. */
export async function refuseImageItself(image: FlashImage, disk: Disk): Promise<void> {
  if (disk.connection !== 'file' || !(await sameFile(image.path, disk.path))) return
  throw new UserError(`${disk.path} is the image itself`, { hint: 'name a device', exitCode: 2 })
}

/**
 * Writes the image to the disk of the plan, and to no other: the device is looked at once more when it is open, and
 * must be the one that was shown. Throws UserError.
 */
export async function flash(
  plan: FlashPlan,
  { reporter, signal }: { reporter: Reporter; signal: AbortSignal },
): Promise<Written> {
  const { image, disk } = plan
  const patches = await planBootFiles(image, plan)
  signal.throwIfAborted()
  await using target = await openTarget(disk.path, disk.sizeBytes)
  const now = await findTarget(disk.path)
  if (now.identity !== disk.identity) {
    throw new UserError(
      `${disk.path} is another device now than the one that was shown. It was not changed.`,
      {
        hint: 'run the command again, and look at what it shows',
      },
    )
  }
  // Awaited here: the target is closed at the end of this scope.
  return await writeImage({ image, patches, target, reporter, signal })
}

async function sameFile(a: string, b: string): Promise<boolean> {
  const [left, right] = await Promise.all([stat(a), stat(b)])
  return left.dev === right.dev && left.ino === right.ino
}
