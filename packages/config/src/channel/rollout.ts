import { createHash } from 'node:crypto'
import { compareVersionTexts, isVersionText } from '../version.ts'
import { type Channel, type FeedRelease, isoTime } from './document.ts'
import { isOpen, nextOpening } from './windows.ts'

/** A device as far as a roll-out goes. */
export interface RolloutDevice {
  /** undefined: it has no identity yet, and comes last. */
  readonly id: string | undefined
  readonly labels: readonly string[]
}

export type RolloutDecision =
  | { readonly action: 'install'; readonly reason: string }
  /** It may lie ready, and is installed when a window opens. */
  | { readonly action: 'fetch'; readonly reason: string; readonly notBeforeMs: number }
  | {
      readonly action: 'wait'
      readonly reason: string
      /** When its turn comes as far as the channel says now; undefined: not as it is. */
      readonly notBeforeMs: number | undefined
    }

/**
 * Where a device stands in the order in which a version is rolled out: 0 up to, but not, 1. The version is part of it,
 * so that it is not always the same devices that go first.
 */
export function rolloutPlace(deviceId: string, version: string): number {
  return createHash('sha256').update(`${deviceId}\n${version}\n`).digest().readUIntBE(0, 6) / 2 ** 48
}

/** What the steps have come to. */
export function rolloutPercent(channel: Channel, nowMs: number): number {
  return channel.steps.findLast(({ atMs }) => atMs <= nowMs)?.percent ?? 0
}

/** The release that the channel has for a device that runs this version, whether or not it is its turn. */
export function chooseRelease(
  channel: Channel,
  runningVersion: string,
): { readonly release: FeedRelease } | { readonly reason: string } {
  const { release, stones } = channel
  // What can't be compared is for others to refuse.
  if (!isVersionText(runningVersion) || reaches(release, runningVersion)) return { release }
  const [stone] = stones
    .filter(
      (candidate) =>
        compareVersionTexts(candidate.version, runningVersion) > 0 && reaches(candidate, runningVersion),
    )
    .sort((a, b) => compareVersionTexts(b.version, a.version))
  if (stone !== undefined) return { release: stone }
  return {
    reason:
      `version ${release.version} wants at least ${release.floor} to come from, this device runs ${runningVersion}, ` +
      'and the channel has no release between them',
  }
}

function reaches({ floor }: FeedRelease, runningVersion: string): boolean {
  return floor === undefined || compareVersionTexts(runningVersion, floor) >= 0
}

/** Whether it is this device's turn to take a release of the channel that is good for it otherwise. */
export function decideRollout(options: {
  readonly channel: Channel
  /** As `chooseRelease` gave it. */
  readonly release: FeedRelease
  readonly device: RolloutDevice
  readonly nowMs: number
}): RolloutDecision {
  const { channel, release, device, nowMs } = options
  const { version } = release
  if (channel.halt !== undefined) {
    const since = isoTime(channel.halt.sinceMs)
    return {
      action: 'wait',
      reason: `the channel is halted since ${since}: ${channel.halt.reason}`,
      notBeforeMs: undefined,
    }
  }
  const canary = channel.canaries.find((label) => device.labels.includes(label))
  if (canary !== undefined) {
    return {
      action: 'install',
      reason: `version ${version} is taken at once: the device is a canary (${canary})`,
    }
  }
  const turn = release === channel.release ? turnOf(channel, device, nowMs) : throughStone(channel, version)
  if (turn.atMs === undefined || turn.atMs > nowMs) {
    const notBeforeMs = turn.atMs === undefined ? undefined : nextOpening(channel.windows, turn.atMs)
    return { action: 'wait', reason: turn.reason, notBeforeMs }
  }
  if (isOpen(channel.windows, nowMs)) return { action: 'install', reason: turn.reason }
  const notBeforeMs = nextOpening(channel.windows, nowMs)
  return {
    action: 'fetch',
    reason: `${turn.reason}; the next window opens at ${isoTime(notBeforeMs)}`,
    notBeforeMs,
  }
}

interface Turn {
  /** undefined: none of the steps reaches it. */
  readonly atMs: number | undefined
  readonly reason: string
}

function turnOf(channel: Channel, device: RolloutDevice, nowMs: number): Turn {
  const { version } = channel.release
  const place = device.id === undefined ? undefined : rolloutPlace(device.id, version) * 100
  const percent = rolloutPercent(channel, nowMs)
  const state = `the roll-out of version ${version} is at ${percent} %`
  const reached = (limit: number) => limit >= 100 || (place !== undefined && place < limit)
  // Rounded down: a place that is not reached yet must not look as if it were.
  const who =
    place === undefined
      ? 'this device has no identity and comes last'
      : `this device's place is ${(Math.floor(place * 100) / 100).toFixed(2)} %`
  if (reached(percent)) return { atMs: nowMs, reason: `${state}, ${who}` }
  const step = channel.steps.find(({ atMs, percent: later }) => atMs > nowMs && reached(later))
  if (step === undefined) return { atMs: undefined, reason: `${state}, ${who}, and no step reaches it` }
  return { atMs: step.atMs, reason: `${state}, ${who}, its turn is at ${isoTime(step.atMs)}` }
}

/** It was rolled out long ago. */
function throughStone(channel: Channel, version: string): Turn {
  const { release } = channel
  return {
    atMs: 0,
    reason: `version ${version} is on the way to ${release.version}, which wants at least ${release.floor} to come from`,
  }
}
