import { parseObject } from './fields.ts'

/** `fleet.json`: `{ "server_url": "https://fleet.example", "authority": "PEM" }`. */
export interface FleetSettings {
  /** Without a slash at the end. */
  readonly serverUrl: string
  /** PEM of the only authority that the server's certificate may come from; undefined: the public ones. */
  readonly authority: string | undefined
}

const settingsBytesMax = 64 << 10

/** Throws an Error with the problem, one line. Unknown keys are errors: a setting with a typing error must not be ignored. */
export function parseFleetSettings(text: string): FleetSettings {
  if (text.length > settingsBytesMax) throw new Error(`it is larger than ${settingsBytesMax >> 10} KiB`)
  const fields = parseObject(text, 'it')
  const unknown = Object.keys(fields).find((key) => key !== 'server_url' && key !== 'authority')
  if (unknown !== undefined) throw new Error(`it has an unknown key, ${JSON.stringify(unknown.slice(0, 40))}`)
  const { server_url: url, authority } = fields
  if (typeof url !== 'string') throw new Error('it has no "server_url"')
  if (authority !== undefined && (typeof authority !== 'string' || !isPem(authority))) {
    throw new Error('"authority" holds no certificate (PEM)')
  }
  return { serverUrl: parseServerUrl(url), authority }
}

/** Throws an Error with the problem. */
export function parseServerUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const plain = url?.username === '' && url.password === '' && url.search === '' && url.hash === ''
  if (url?.protocol !== 'https:' || !plain) {
    throw new Error(
      'the address of the fleet server is no https URL without credentials, question mark and hash',
    )
  }
  return url.href.replace(/\/+$/, '')
}

export function renderFleetSettings({ serverUrl, authority }: FleetSettings): string {
  return `${JSON.stringify({ server_url: serverUrl, authority }, null, 2)}\n`
}

/** Certificates and nothing else: a private key that was given by mistake is not copied about. */
export function isPem(text: string): boolean {
  return text.includes('-----BEGIN CERTIFICATE-----') && !/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text)
}
