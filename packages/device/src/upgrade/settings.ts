/** What `os-upgrade.json` says. Throws an Error with the problem. */
export function parseUpgradeSettings(text: string): { readonly serverUrl: string } {
  const value: unknown = JSON.parse(text)
  const serverUrl = (value as { server_url?: unknown } | null)?.server_url
  if (typeof serverUrl !== 'string') throw new Error('it has no "server_url"')
  const url = URL.canParse(serverUrl) ? new URL(serverUrl) : undefined
  if (url?.protocol !== 'https:' || url.username !== '' || url.password !== '') {
    throw new Error(`"server_url" is not an https URL without credentials`)
  }
  return { serverUrl }
}
