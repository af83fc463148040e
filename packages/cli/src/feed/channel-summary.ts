import { type Channel, isoTime, rolloutPercent } from '@atomixos/config'

/** A channel as people and scripts look at it. */
export function channelSummary(channel: Channel, nowMs: number) {
  const { release } = channel
  return {
    board: channel.board,
    channel: channel.channel,
    sequence: channel.sequence,
    version: release.version,
    bundle: release.bundle,
    deltas: release.deltas.map((delta) => ({
      ...delta,
      share: delta.sizeBytes / release.bundle.sizeBytes,
    })),
    floor: release.floor ?? null,
    stones: channel.stones.map(({ version }) => version),
    halted: channel.halt?.reason ?? null,
    haltedSince: channel.halt === undefined ? null : isoTime(channel.halt.sinceMs),
    percent: rolloutPercent(channel, nowMs),
    steps: channel.steps.map(({ atMs, percent }) => ({ at: isoTime(atMs), percent })),
    windows: channel.windows,
    canaries: channel.canaries,
    published: isoTime(channel.publishedMs),
    expires: isoTime(channel.expiresMs),
    expired: channel.expiresMs <= nowMs,
  }
}

export type ChannelSummary = ReturnType<typeof channelSummary>

export function renderSummary(summary: ChannelSummary): string {
  const { bundle, halted } = summary
  const rows: [string, string][] = [
    ['channel', `${summary.channel} of ${summary.board}, number ${summary.sequence}`],
    ['release', `${summary.version}${summary.floor === null ? '' : `, from ${summary.floor} on`}`],
    ['bundle', `${bundle.path}, ${(bundle.sizeBytes / 1e6).toFixed(1)} MB`],
    ...summary.deltas.map(({ from, sizeBytes, share }): [string, string] => [
      'delta',
      `from ${from}, ${(sizeBytes / 1e6).toFixed(1)} MB, ${(share * 100).toFixed(2)} %`,
    ]),
    ...(summary.stones.length === 0 ? [] : [['on the way', summary.stones.join(', ')] as [string, string]]),
    ...(halted === null ? [] : [['HALTED', `since ${summary.haltedSince}: ${halted}`] as [string, string]]),
    ['now', halted === null ? `${summary.percent} %` : 'nobody takes it'],
    ...summary.steps.map(({ at, percent }): [string, string] => ['step', `${percent} % from ${at}`]),
    ...summary.windows.map(({ days, from, until }): [string, string] => [
      'window',
      `${days.join(',')} ${from}-${until} UTC`,
    ]),
    ...(summary.canaries.length === 0 ? [] : [['canaries', summary.canaries.join(', ')] as [string, string]]),
    ['expires', `${summary.expires}${summary.expired ? ' (EXPIRED)' : ''}`],
  ]
  return rows.map(([name, value]) => `${name.padEnd(12)} ${value}\n`).join('')
}
