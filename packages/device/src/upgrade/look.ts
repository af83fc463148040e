import { type Channel, isoTime, rolloutPercent } from '@atomixos/config'
import { askChannel } from './ask-channel.ts'
import { readChannelRecords, withChannel, writeChannelRecords } from './channel-records.ts'
import { decide, type Situation } from './decide.ts'
import { decideByChannel, type Verdict } from './decide-by-channel.ts'
import { type Asking, fetchLatest } from './fetch-latest.ts'
import type { Answer } from './parse-answer.ts'

/** Everything that a look for an update depends on. */
export interface LookOptions extends Asking, Omit<Situation, 'answer'> {
  readonly board: string
  readonly channel: string
  readonly labels: readonly string[]
  readonly nowMs: number
  readonly channelRecordsPath: string
  /** Whether a channel file that is followed is remembered; somebody who only asks changes nothing. */
  readonly remember: boolean
  readonly readInfo: (path: string) => Promise<string>
  readonly scratchFolder: string
}

/** What was in the channel, for status and journal. */
export interface ChannelFacts {
  readonly name: string
  readonly sequence: number
  readonly published: string
  readonly expires: string
  readonly percent: number
  readonly halted: string | undefined
}

export interface Look {
  /** undefined: the server has no channel, and answered for itself. */
  readonly channel: ChannelFacts | undefined
  /** undefined: there is nothing for this device. */
  readonly answer: Answer | undefined
  readonly decision: Verdict
}

/**
 * Asks the server for its channel, or, when it has and had none, for its answer, and decides. Fails with an
 * UpdateServerError.
 */
export async function look(options: LookOptions): Promise<Look> {
  const { channelRecordsPath, deviceId, labels, nowMs } = options
  // The same server, however its address ends.
  const serverUrl = options.serverUrl.replace(/\/+$/, '')
  const records = await readChannelRecords(channelRecordsPath)
  const ofServer = records.filter((record) => record.serverUrl === serverUrl)
  const seen = ofServer.find(({ channel }) => channel === options.channel)
  const found = await askChannel({ ...options, seen, required: ofServer.length > 0 })
  if (found === undefined) {
    const answer = await fetchLatest(options)
    return { channel: undefined, answer, decision: decide({ ...options, answer }) }
  }
  const { channel, identity } = found
  // Before anything is done about it: no power cut makes an older one acceptable again.
  if (options.remember && channel.sequence !== seen?.sequence) {
    const { sequence } = channel
    const record = { serverUrl, channel: options.channel, sequence, identity, time: isoTime(nowMs) }
    await writeChannelRecords(channelRecordsPath, withChannel(records, record))
  }
  const device = { id: deviceId, labels }
  const { answer, verdict } = decideByChannel({ ...options, channel, device })
  return { channel: channelFacts(channel, nowMs), answer, decision: verdict }
}

function channelFacts(channel: Channel, nowMs: number): ChannelFacts {
  return {
    name: channel.channel,
    sequence: channel.sequence,
    published: isoTime(channel.publishedMs),
    expires: isoTime(channel.expiresMs),
    percent: rolloutPercent(channel, nowMs),
    halted: channel.halt?.reason,
  }
}
