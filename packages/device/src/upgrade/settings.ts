import { defaultChannelName, isPlainName } from '@atomixos/config'

export interface UpgradeSettings {
  readonly serverUrl: string
  readonly channel: string
}

/** What `os-upgrade.json` says. Throws an Error with the problem. */
export function parseUpgradeSettings(text: string): UpgradeSettings {
  const value = JSON.parse(text) as { server_url?: unknown; channel?: unknown } | null
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
  return { serverUrl, channel }
}
