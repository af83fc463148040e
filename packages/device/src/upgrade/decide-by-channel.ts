import {
  type Channel,
  chooseRelease,
  decideRollout,
  type FeedRelease,
  isoTime,
  type RolloutDevice,
} from '@atomixos/config'
import { decide, type Situation } from './decide.ts'
import { addressBelow } from './fetch-latest.ts'
import type { Answer, OfferedDelta } from './parse-answer.ts'

export type Verdict =
  | { readonly action: 'install'; readonly reason?: string | undefined }
  /** To lie ready; installed when a window opens. */
  | { readonly action: 'fetch'; readonly reason: string; readonly notBefore: string }
  | { readonly action: 'none'; readonly reason: string; readonly notBefore?: string | undefined }

export interface ChannelSituation extends Omit<Situation, 'answer'> {
  readonly channel: Channel
  readonly serverUrl: string
  readonly device: RolloutDevice
  readonly nowMs: number
}

/** The smallest for what runs here, if it is smaller than the bundle. */
function offeredDelta(
  { bundle, deltas }: FeedRelease,
  { serverUrl, runningVersion }: { readonly serverUrl: string; readonly runningVersion: string },
): OfferedDelta | undefined {
  const [delta] = deltas
    .filter(({ from, sizeBytes }) => from === runningVersion && sizeBytes < bundle.sizeBytes)
    .sort((a, b) => a.sizeBytes - b.sizeBytes)
  if (delta === undefined) return undefined
  const { from, path, sizeBytes, sha256 } = delta
  return { url: addressBelow(serverUrl, path), from, sizeBytes, sha256 }
}

/** What a device does about a channel: which release is for it, whether it is any good to it, and whether it is its turn. */
export function decideByChannel(situation: ChannelSituation): {
  readonly answer: Answer | undefined
  readonly verdict: Verdict
} {
  const { channel, serverUrl, runningVersion } = situation
  const chosen = chooseRelease(channel, runningVersion)
  if ('reason' in chosen) return { answer: undefined, verdict: { action: 'none', reason: chosen.reason } }
  const { release } = chosen
  const { path, sizeBytes, sha256 } = release.bundle
  const delta = offeredDelta(release, { serverUrl, runningVersion })
  const answer: Answer = {
    version: release.version,
    bundleUrl: addressBelow(serverUrl, path),
    file: { sizeBytes, sha256 },
    ...(delta && { delta }),
  }
  const good = decide({ ...situation, answer })
  if (good.action === 'none') return { answer, verdict: good }
  const turn = decideRollout({ ...situation, release })
  const notBefore =
    'notBeforeMs' in turn && turn.notBeforeMs !== undefined ? isoTime(turn.notBeforeMs) : undefined
  switch (turn.action) {
    case 'install':
      return { answer, verdict: turn }
    case 'fetch':
      return { answer, verdict: { action: 'fetch', reason: turn.reason, notBefore: notBefore! } }
    case 'wait':
      return { answer, verdict: { action: 'none', reason: turn.reason, notBefore } }
  }
}
