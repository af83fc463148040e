/** What a publisher says about a channel: one signed document that all devices of a board read. */

export interface FeedFile {
  /** Relative to the feed's root. */
  readonly path: string
  readonly sizeBytes: number
  /** Hexadecimal. */
  readonly sha256: string
}

/** A smaller way to the same bundle for a device that runs `from`. */
export interface FeedDelta extends FeedFile {
  readonly from: string
}

export interface FeedRelease {
  readonly version: string
  readonly bundle: FeedFile
  readonly deltas: readonly FeedDelta[]
  /** What a device must run at least to take it; undefined: anything older. */
  readonly floor: string | undefined
}

/** From this time on, so many of a hundred devices. */
export interface RolloutStep {
  readonly atMs: number
  readonly percent: number
}

export const weekDays = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const

export type WeekDay = (typeof weekDays)[number]

/** UTC. Ends on the next day when `until` is not after `from`. */
export interface FeedWindow {
  /** On which it begins. */
  readonly days: readonly WeekDay[]
  /** `02:00` */
  readonly from: string
  readonly until: string
}

export interface Channel {
  readonly board: string
  readonly channel: string
  /** Grows with each change; a device takes no older one than it has seen. */
  readonly sequence: number
  readonly publishedMs: number
  readonly expiresMs: number
  readonly release: FeedRelease
  /** For devices below the release's floor. */
  readonly stones: readonly FeedRelease[]
  /** In order of time; before the first of them nobody but canaries takes the release. */
  readonly steps: readonly RolloutStep[]
  /** Empty: always. */
  readonly windows: readonly FeedWindow[]
  /** Labels whose devices take the release at once. */
  readonly canaries: readonly string[]
  readonly halt: { readonly reason: string; readonly sinceMs: number } | undefined
}

export const channelSchema = 1

/** The same channel gives the same text. */
export function renderChannel(channel: Channel): string {
  const { halt } = channel
  return JSON.stringify({
    schema: channelSchema,
    board: channel.board,
    channel: channel.channel,
    sequence: channel.sequence,
    published: isoTime(channel.publishedMs),
    expires: isoTime(channel.expiresMs),
    ...(halt && { halt: { reason: halt.reason, since: isoTime(halt.sinceMs) } }),
    release: releaseValue(channel.release),
    stones: channel.stones.map(releaseValue),
    steps: channel.steps.map(({ atMs, percent }) => ({ at: isoTime(atMs), percent })),
    windows: channel.windows.map(({ days, from, until }) => ({ days, from, until })),
    canaries: channel.canaries,
  })
}

/** `2026-12-01T02:00:00Z`: whole seconds. */
export function isoTime(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z')
}

function releaseValue({ version, bundle, deltas, floor }: FeedRelease) {
  return {
    version,
    ...(floor !== undefined && { floor }),
    bundle: fileValue(bundle),
    deltas: deltas.map((delta) => ({ from: delta.from, ...fileValue(delta) })),
  }
}

function fileValue({ path, sizeBytes, sha256 }: FeedFile) {
  return { path, size: sizeBytes, sha256 }
}
