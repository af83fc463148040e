import {
  type Channel,
  channelLimits,
  compareVersionTexts,
  type FeedDelta,
  type FeedFile,
  type FeedRelease,
  type FeedWindow,
  isReason,
  type RolloutStep,
  rolloutPercent,
} from '@atomixos/config'
import { UserError } from '../errors.ts'

/** What a publisher does to a channel: the channel as it is → as it will be. Pure; throws UserError for what makes no sense. */

interface When {
  readonly nowMs: number
  readonly expiresMs: number
}

export interface NewRelease extends When {
  readonly board: string
  readonly channel: string
  readonly version: string
  readonly bundle: FeedFile
  readonly deltas: readonly FeedDelta[]
  readonly steps: readonly RolloutStep[]
  /** undefined: as before. */
  readonly floor: string | undefined
  readonly windows: readonly FeedWindow[] | undefined
  readonly canaries: readonly string[] | undefined
  /** A halt was about the release before: whether it ends with this one. */
  readonly resume: boolean
}

export function publishRelease(before: Channel | undefined, next: NewRelease): Channel {
  const { board, channel, version, bundle, deltas, steps, nowMs, expiresMs } = next
  if (before !== undefined) requireNewer(before.release, version)
  const floor = next.floor ?? before?.release.floor
  if (floor !== undefined && compareVersionTexts(floor, version) >= 0) {
    throw wrong(`the floor ${floor} is not older than version ${version}`)
  }
  if (before?.halt !== undefined && !next.resume) {
    throw wrong(
      `the channel is halted: ${before.halt.reason}`,
      'add --resume when this release is good: it ends the halt in the same step',
    )
  }
  return {
    ...{ board, channel, sequence: nextSequence(before) },
    ...{ publishedMs: nowMs, expiresMs },
    release: { version, bundle, deltas, floor },
    stones: stonesFor(before, floor),
    steps,
    windows: next.windows ?? before?.windows ?? [],
    canaries: next.canaries ?? before?.canaries ?? [],
    halt: undefined,
  }
}

function requireNewer(release: FeedRelease, version: string): void {
  const order = compareVersionTexts(version, release.version)
  if (order > 0) return
  if (order === 0) {
    throw wrong(
      `version ${version} is published already`,
      'a version is one bundle for ever: build a newer one; or change its roll-out with `./atomixos feed rollout`',
    )
  }
  throw wrong(
    `version ${version} is older than ${release.version}, which the channel has`,
    'devices never go back: publish what is good as a newer version',
  )
}

/** Releases on the way for devices below the floor: those that are, and the one that was the newest until now. */
function stonesFor(before: Channel | undefined, floor: string | undefined): readonly FeedRelease[] {
  if (before === undefined || floor === undefined) return []
  const { release, stones } = before
  // One that does not reach the floor leads nowhere further, and what leads to it is needed as well.
  const reaches = compareVersionTexts(release.version, floor) >= 0
  const isNewFloor = release.floor === undefined || compareVersionTexts(floor, release.floor) > 0
  const all = reaches && isNewFloor ? [...stones, release] : stones
  if (all.length > channelLimits.stonesMax) {
    throw wrong(`the channel would hold more than ${channelLimits.stonesMax} releases on the way`)
  }
  return all
}

export function pauseChannel(
  before: Channel,
  { reason, ...when }: When & { readonly reason: string },
): Channel {
  if (!isReason(reason)) {
    throw wrong(`the reason must be one line of 1 to ${channelLimits.reasonCharactersMax} characters`)
  }
  return changed(before, when, { halt: { reason, sinceMs: when.nowMs } })
}

export function resumeChannel(before: Channel, when: When): Channel {
  if (before.halt === undefined) throw wrong('the channel is not halted')
  return changed(before, when, { halt: undefined })
}

export function changeRollout(
  before: Channel,
  {
    steps,
    windows,
    canaries,
    ...when
  }: When & {
    readonly steps: readonly RolloutStep[] | undefined
    readonly windows: readonly FeedWindow[] | undefined
    readonly canaries: readonly string[] | undefined
  },
): Channel {
  return changed(before, when, {
    steps: steps ?? before.steps,
    windows: windows ?? before.windows,
    canaries: canaries ?? before.canaries,
  })
}

export function renewChannel(before: Channel, when: When): Channel {
  return changed(before, when, {})
}

function changed(before: Channel, { nowMs, expiresMs }: When, changes: Partial<Channel>): Channel {
  return { ...before, ...changes, sequence: nextSequence(before), publishedMs: nowMs, expiresMs }
}

function nextSequence(before: Channel | undefined): number {
  return (before?.sequence ?? 0) + 1
}

/** What a change of the steps takes away: those who had their turn keep it. */
export function rolloutWarning(before: Channel, after: Channel, nowMs: number): string | undefined {
  const [was, is] = [rolloutPercent(before, nowMs), rolloutPercent(after, nowMs)]
  if (before.release.version !== after.release.version || is >= was) return undefined
  return `the roll-out goes from ${was} % back to ${is} %: devices that have taken the release keep it`
}

function wrong(message: string, hint?: string): UserError {
  return new UserError(message, { exitCode: 2, ...(hint === undefined ? {} : { hint }) })
}
