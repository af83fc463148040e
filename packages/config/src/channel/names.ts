import { bundleCompatible } from '../update.ts'

/** Where a channel is, what it is called, and how its file says what it is. */

export const defaultChannelName = 'stable'

/** Of boards, channels and labels: they become parts of paths and of lines for people. */
export function isPlainName(text: string): boolean {
  return /^[a-z0-9][a-z0-9-]{0,31}$/.test(text)
}

/** Below the address of the server, and below the folder that it serves. */
export function channelPath(board: string, channel: string): string {
  return `channels/${board}/${channel}.channel`
}

const channelCompatiblePrefix = bundleCompatible('channel-')

/**
 * A channel file is a signed RAUC bundle, so that RAUC judges its signer as it judges an update's. With this name it can
 * never be installed: no system has it.
 */
export function channelCompatible(board: string): string {
  return `${channelCompatiblePrefix}${board}`
}

/** The board of a channel file's compatible; undefined: it is of something else. */
export function boardOfChannelCompatible(compatible: string): string | undefined {
  return compatible.startsWith(channelCompatiblePrefix)
    ? compatible.slice(channelCompatiblePrefix.length)
    : undefined
}

/** The board of a system's or an update's compatible; undefined: not one of ours. */
export function boardOfCompatible(compatible: string): string | undefined {
  const prefix = bundleCompatible('')
  if (!compatible.startsWith(prefix) || boardOfChannelCompatible(compatible) !== undefined) return undefined
  return compatible.slice(prefix.length)
}

/** `[meta.atomixos]` of the signed manifest, and the key in it that holds the document in base64url. */
export const channelMeta = { section: 'atomixos', key: 'channel' } as const

/** Below 0.1.0, the least version that RAUC takes for an update on any device. */
export const channelFileVersion = '0.0.0'

export const channelLimits = {
  /** RAUC takes signatures of up to 64 KiB, and the document is in there as base64, with certificates. */
  documentBytesMax: 32 << 10,
  /** Payload and signature; what a device reads of an answer. */
  fileBytesMax: 96 << 10,
  deltasMax: 32,
  stonesMax: 8,
  stepsMax: 32,
  windowsMax: 16,
  canariesMax: 32,
  reasonCharactersMax: 200,
  pathCharactersMax: 512,
  bundleBytesMax: 1 << 30,
} as const

/** A device that looks every 70 minutes must not miss a window. */
export const windowMinutesMin = 90

/** When a device looks: so long after its start, then so long after the last time, each up to so much later. */
export const pollTimer = { afterBootS: 5 * 60, intervalS: 3600, randomDelayS: 10 * 60 } as const
