import {
  type Channel,
  compareVersionTexts,
  defaultChannelName,
  type FeedRelease,
  rolloutPercent,
} from '@atomixos/config'

/**
 * What the file of the simple query (docs/updates.md) says, for systems that know no channels: one answer for all of them,
 * at once. So it names only what is for everybody now; undefined: nothing is. Pure.
 */
export function simpleAnswer(channel: Channel, nowMs: number): string | undefined {
  const release = releaseForAll(channel, nowMs)
  if (channel.channel !== defaultChannelName || release === undefined) return undefined
  return `${JSON.stringify({ version: release.version, bundle_url: release.bundle.path })}\n`
}

/** The newest that asks for no other first, or the way to it. */
function releaseForAll(channel: Channel, nowMs: number): FeedRelease | undefined {
  const { release, stones, halt } = channel
  const staged = rolloutPercent(channel, nowMs) < 100 || halt !== undefined || channel.windows.length > 0
  const candidates = staged ? stones : [release, ...stones]
  return candidates
    .filter(({ floor }) => floor === undefined)
    .toSorted((a, b) => compareVersionTexts(b.version, a.version))[0]
}

/** Which version such a file names; undefined: it is none of ours. */
export function simpleAnswerVersion(text: string): string | undefined {
  try {
    const { version } = JSON.parse(text) as { version?: unknown }
    return typeof version === 'string' ? version : undefined
  } catch {
    return undefined
  }
}
