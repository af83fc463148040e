import { DeltaError } from '@atomixos/config'
import type { InstallOutcome } from '../upgrade/install.ts'
import type { StickUpdates } from './find-updates.ts'
import type { ChosenUpdate, SeenUpdate } from './judge-updates.ts'
import type { StickResult } from './report.ts'

/** How a stick and the device are reached. */
export interface StickDoors {
  readonly find: () => Promise<StickUpdates>
  /** Until the running system has proved itself, or time is up; tells why it is not to be replaced. */
  readonly waitUntilConfirmed: () => Promise<string | undefined>
  readonly judge: (
    found: StickUpdates,
  ) => Promise<{ readonly seen: readonly SeenUpdate[]; readonly chosen: ChosenUpdate | undefined }>
  /** Brings the bundle to its place on the disk, whole; fails with an Error for people. */
  readonly copyBundle: (chosen: ChosenUpdate) => Promise<void>
  /** Makes it there of the delta; fails with a DeltaError, or what the file system says. */
  readonly rebuild: (chosen: ChosenUpdate) => Promise<void>
  readonly install: (chosen: ChosenUpdate) => Promise<InstallOutcome>
  readonly discard: () => Promise<void>
  readonly say: (line: string) => void
}

/** What came of it; undefined: the stick holds nothing of ours, and nothing is written to it. */
export async function updateFromStick(doors: StickDoors): Promise<StickResult | undefined> {
  const found = await doors.find()
  if (found.feed === undefined && found.bundles.length === 0) return undefined
  const unconfirmed = await doors.waitUntilConfirmed()
  if (unconfirmed !== undefined) {
    return { result: 'nothing', version: undefined, reason: unconfirmed, seen: [] }
  }
  const { seen, chosen } = await doors.judge(found)
  if (chosen === undefined) {
    const [only, ...more] = seen
    const reason = more.length === 0 ? (only?.refused ?? 'it is empty') : 'see what was found'
    return { result: 'nothing', version: undefined, reason, seen }
  }
  const { version } = chosen
  doors.say(`version ${version} is taken from ${chosen.file}`)
  try {
    await bring(chosen, doors)
    const outcome = await doors.install(chosen)
    return outcome.installed
      ? {
          result: 'installed',
          version,
          reason: `it is in slot ${outcome.slot}, and the device restarts`,
          seen,
        }
      : { result: 'failed', version, reason: outcome.reason, seen }
  } catch (error) {
    return { result: 'failed', version, reason: (error as Error).message, seen }
  } finally {
    await doors.discard()
  }
}

async function bring(chosen: ChosenUpdate, doors: StickDoors): Promise<void> {
  if (chosen.delta === undefined) return doors.copyBundle(chosen)
  try {
    await doors.rebuild(chosen)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    // A mistake of ours is not covered up.
    if (!(error instanceof DeltaError) && code === undefined && !('cause' in (error as Error))) throw error
    doors.say(`<5>the delta is of no use, the bundle is taken: ${message}`)
    await doors.copyBundle(chosen)
  }
}
