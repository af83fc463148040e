import { DeltaError, oneLine } from '@atomixos/config'
import type { Answer, OfferedDelta } from './parse-answer.ts'
import { UpdateServerError } from './server-error.ts'

/** How fetching reaches the world. */
export interface FetchDoors {
  /** Brings the delta, and looks whether it is the one that the channel names; fails with a DeltaError when it is not. */
  readonly fetchDelta: (delta: OfferedDelta) => Promise<void>
  /** Makes the bundle of it; fails with a DeltaError, or what the file system says. */
  readonly rebuild: (answer: Answer) => Promise<void>
  /** Brings the bundle as it is. */
  readonly fetchWhole: (answer: Answer) => Promise<void>
  /** What of the whole bundle came before. */
  readonly partBytes: (answer: Answer) => Promise<number>
  /** Why this delta is not tried again; undefined: it was not tried, or is to be tried again. */
  readonly refusedBefore: (delta: OfferedDelta) => Promise<string | undefined>
  /** How many rounds in a row nothing of this delta has come, since the start. */
  readonly vainRounds: (delta: OfferedDelta) => Promise<number>
  /** Remembers whether something came in this round. */
  readonly noteRound: (delta: OfferedDelta, vain: boolean) => Promise<void>
  /** What of the delta lies here, on the way. */
  readonly deltaPartBytes: (delta: OfferedDelta) => Promise<number>
  /** Remembers that a delta leads nowhere on this device. */
  readonly refuse: (delta: OfferedDelta, reason: string) => Promise<void>
  readonly say: (line: string) => void
}

/** How the bundle came, for people. */
export type Transfer = string

/**
 * Something stands between us and the delta, and not between us and the channel, which came a moment before: a proxy, a
 * mirror that is broken. A server that is away brings no channel, and counts for nothing here.
 */
export const vainRoundsMax = 3

/**
 * Brings the bundle by its delta when there is one, else, and whenever the delta leads nowhere, whole. A server that is
 * away is an UpdateServerError, and the next round goes on; where round after round brings nothing of the delta, the last
 * one takes the whole bundle.
 */
export async function fetchBundle(answer: Answer, doors: FetchDoors): Promise<Transfer> {
  const reason = await byDelta(answer, doors)
  if (reason === undefined) {
    const { from, sizeBytes } = answer.delta!
    return `delta from ${from}, ${megabytes(sizeBytes)} instead of ${megabytes(answer.file!.sizeBytes)}`
  }
  await doors.fetchWhole(answer)
  const size = answer.file === undefined ? '' : `, ${megabytes(answer.file.sizeBytes)}`
  return `the full bundle${size}: ${reason}`
}

/** Why not; undefined: the bundle is there. */
async function byDelta(answer: Answer, doors: FetchDoors): Promise<string | undefined> {
  const { delta, file } = answer
  if (delta === undefined || file === undefined) return 'there is no delta from what runs here'
  const before = await doors.refusedBefore(delta)
  if (before !== undefined) return `the delta from ${delta.from} was of no use: ${before}`
  if (file.sizeBytes - (await doors.partBytes(answer)) <= delta.sizeBytes) return 'most of it came before'
  const vainBefore = await doors.vainRounds(delta)
  if (vainBefore >= vainRoundsMax) return neverCame(delta)
  const hadBytes = await doors.deltaPartBytes(delta)
  try {
    await doors.fetchDelta(delta)
    await doors.rebuild(answer)
    return undefined
  } catch (error) {
    const reason = unusableReason(error)
    if (reason === undefined) {
      if (!isOfTheNetwork(error)) throw error
      const vain = (await doors.deltaPartBytes(delta)) <= hadBytes
      await doors.noteRound(delta, vain)
      if (!vain || vainBefore + 1 < vainRoundsMax) throw error
      doors.say(`<4>${neverCame(delta)}: ${(error as Error).message}; the full bundle is fetched`)
      return neverCame(delta)
    }
    if (error instanceof DeltaError) await doors.refuse(delta, reason)
    doors.say(`<4>the delta from ${delta.from} is of no use, the full bundle is fetched: ${reason}`)
    return `the delta from ${delta.from} was of no use: ${reason}`
  }
}

/** What says nothing about the delta is no reason to fetch a hundred times as much. */
const passing: ReadonlySet<string> = new Set(['network', 'tls', 'timeout', 'stopped'])

function isOfTheNetwork(error: unknown): boolean {
  return error instanceof UpdateServerError && error.kind !== 'stopped'
}

function neverCame({ from }: OfferedDelta): string {
  return `nothing of the delta from ${from} came in ${vainRoundsMax} rounds`
}

function unusableReason(error: unknown): string | undefined {
  if (error instanceof UpdateServerError && passing.has(error.kind)) return undefined
  if (error instanceof UpdateServerError || error instanceof DeltaError) return error.message
  const { code, message } = error as NodeJS.ErrnoException
  // Of the file system: no space, or a partition that can't be read.
  return code === undefined ? undefined : oneLine(message)
}

/** `2.5 MB`; small ones in kB. */
function megabytes(bytes: number): string {
  return bytes < 100_000 ? `${Math.ceil(bytes / 1000)} kB` : `${(bytes / 1e6).toFixed(1)} MB`
}
