import { defaultChannelName, downloadRateKib, isPlainName } from '@atomixos/config'

export interface UpgradeSettings {
  readonly serverUrl: string
  readonly channel: string
  /** How fast bundles and deltas are fetched at most; undefined: as fast as they come. */
  readonly downloadBytesPerSMax: number | undefined
}

/** What `os-upgrade.json` says. Throws an Error with the problem. */
export function parseUpgradeSettings(text: string): UpgradeSettings {
  const value = JSON.parse(text) as Record<string, unknown> | null
  const serverUrl = value?.server_url
  if (typeof serverUrl !== 'string') throw new Error('it has no "server_url"')
  const url = URL.canParse(serverUrl) ? new URL(serverUrl) : undefined
  if (url?.protocol !== 'https:' || url.username !== '' || url.password !== '') {
    throw new Error(`"server_url" is not an https URL without credentials`)
  }
  const channel = value?.channel ?? defaultChannelName
  if (typeof channel !== 'string' || !isPlainName(channel)) {
    throw new Error('"channel" is no name of lower-case letters, digits and hyphens')
  }
  const rate = value?.download_kib_per_second
  if (rate !== undefined && !isDownloadRate(rate)) {
    const { min, max } = downloadRateKib
    throw new Error(`"download_kib_per_second" is no whole number from ${min} to ${max}`)
  }
  return { serverUrl, channel, downloadBytesPerSMax: rate === undefined ? undefined : rate * 1024 }
}

function isDownloadRate(value: unknown): value is number {
  const { min, max } = downloadRateKib
  return Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max
}
