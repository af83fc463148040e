import { type Channel, type FeedRelease, isoTime, renderChannel } from './document.ts'
import { channelCompatible, channelMeta } from './names.ts'

export const nowMs = Date.UTC(2026, 11, 1, 12)
export const hourMs = 3_600_000
export const dayMs = 24 * hourMs

export function release(version: string, changes: Partial<FeedRelease> = {}): FeedRelease {
  const bundle = { path: `bundles/${version}.raucb`, sizeBytes: 1000, sha256: 'ab'.repeat(32) }
  return { version, bundle, deltas: [], floor: undefined, ...changes }
}

/** For tests: 1.4.0 for everybody, unless told otherwise. */
export function channelOf(changes: Partial<Channel> = {}): Channel {
  return {
    ...{ board: 'rock64', channel: 'stable', sequence: 7 },
    publishedMs: nowMs - dayMs,
    expiresMs: nowMs + 30 * dayMs,
    release: release('1.4.0'),
    stones: [],
    steps: [{ atMs: nowMs - dayMs, percent: 100 }],
    windows: [],
    canaries: [],
    halt: undefined,
    ...changes,
  }
}

/** For tests: what `rauc info --output-format=json-2` prints of a channel file, as far as it is read. */
export function raucInfoOf(document: string, compatible = channelCompatible('rock64')): string {
  const encoded = Buffer.from(document).toString('base64url')
  return JSON.stringify({
    update: { version: '0.0.0', compatible },
    images: [],
    meta: { [channelMeta.section]: { [channelMeta.key]: encoded } },
  })
}

/** For tests: the document as a value that can be changed in any way. */
export function documentValue(channel: Channel = channelOf()): Record<string, unknown> {
  return JSON.parse(renderChannel(channel)) as Record<string, unknown>
}

export function at(ms: number): string {
  return isoTime(ms)
}

/** For tests: numbers from 0 up to, but not, 1; the same for the same seed (Lehmer, MINSTD). */
export function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state * 48271) % 2147483647
    return (state - 1) / 2147483646
  }
}
