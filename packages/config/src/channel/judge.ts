import { createHash } from 'node:crypto'
import { type Channel, isoTime } from './document.ts'
import { boardOfChannelCompatible, channelLimits, channelMeta } from './names.ts'
import { parseChannel } from './parse-document.ts'

/** Why a channel file that was signed properly is not followed. */
export type ChannelRefusalKind =
  /** Signed, and something else. */
  'no-channel' | 'schema' | 'content' | 'board' | 'channel' | 'expired' | 'replay'

export type JudgedChannel =
  | { readonly channel: Channel; readonly identity: string }
  | { readonly kind: ChannelRefusalKind; readonly reason: string }

/** The last one that was followed. */
export interface SeenChannel {
  readonly sequence: number
  readonly identity: string
}

/**
 * The last step to a channel: what RAUC prints of a file whose signature it has verified (`rauc info
 * --output-format=json-2`) → the channel, or why not. Never throws.
 */
export function judgeChannel(
  raucInfo: string,
  expected: {
    readonly board: string
    readonly channel: string
    readonly nowMs: number
    readonly seen?: SeenChannel | undefined
  },
): JudgedChannel {
  const read = readChannel(raucInfo)
  if ('kind' in read) return read
  const { channel, identity, board } = read
  if (board !== expected.board || channel.board !== expected.board) {
    const other = board !== expected.board ? board : channel.board
    return { kind: 'board', reason: `it is for the board "${other}", this is "${expected.board}"` }
  }
  if (channel.channel !== expected.channel) {
    return {
      kind: 'channel',
      reason: `it is the channel "${channel.channel}", asked for was "${expected.channel}"`,
    }
  }
  const { seen, nowMs } = expected
  if (seen !== undefined && channel.sequence < seen.sequence) {
    return {
      kind: 'replay',
      reason: `its number is ${channel.sequence}, and number ${seen.sequence} was here before: an old file again`,
    }
  }
  if (seen !== undefined && channel.sequence === seen.sequence && identity !== seen.identity) {
    return { kind: 'replay', reason: `its number ${channel.sequence} was here before with other contents` }
  }
  if (nowMs >= channel.expiresMs) {
    return {
      kind: 'expired',
      reason: `it expired at ${isoTime(channel.expiresMs)}, and the clock says ${isoTime(nowMs)}`,
    }
  }
  return { channel, identity }
}

/** Without an opinion about board, time and what was before; for publishers. */
export function readChannel(
  raucInfo: string,
):
  | { readonly channel: Channel; readonly identity: string; readonly board: string }
  | { readonly kind: 'no-channel' | 'schema' | 'content'; readonly reason: string } {
  const text = documentText(raucInfo)
  if (text === undefined) return { kind: 'no-channel', reason: 'it is signed, and no channel file' }
  const parsed = parseChannel(text.document)
  if ('problems' in parsed) {
    const [first, ...more] = parsed.problems
    const rest = more.length === 0 ? '' : ` (and ${more.length} more)`
    return { kind: parsed.kind, reason: `${first}${rest}` }
  }
  return {
    channel: parsed.channel,
    identity: createHash('sha256').update(text.document).digest('hex'),
    board: text.board,
  }
}

function documentText(raucInfo: string): { readonly document: string; readonly board: string } | undefined {
  try {
    const info = JSON.parse(raucInfo) as Info | null
    const compatible = info?.update?.compatible
    const board = typeof compatible === 'string' ? boardOfChannelCompatible(compatible) : undefined
    const encoded = info?.meta?.[channelMeta.section]?.[channelMeta.key]
    if (board === undefined || typeof encoded !== 'string') return undefined
    if (encoded.length > channelLimits.documentBytesMax * 2 || !/^[A-Za-z0-9_-]+$/.test(encoded))
      return undefined
    return {
      document: new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(encoded, 'base64url')),
      board,
    }
  } catch {
    return undefined
  }
}

interface Info {
  readonly update?: { readonly compatible?: unknown }
  readonly meta?: Readonly<Record<string, Readonly<Record<string, unknown>> | undefined>>
}
