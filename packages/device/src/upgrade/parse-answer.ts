import { oneLine } from '@atomixos/config'
import parseVersion from 'semver/functions/parse.js'

/** What the server offers. */
export interface Answer {
  readonly version: string
  /** Absolute, https. */
  readonly bundleUrl: string
  /** What a signed channel says of the bundle; undefined: nobody vouches for more than its signature does. */
  readonly file?: FileFacts
  /** A smaller way to the same file; undefined: the channel has none for what runs here. */
  readonly delta?: OfferedDelta
}

export interface FileFacts {
  readonly sizeBytes: number
  /** Hexadecimal. */
  readonly sha256: string
}

export interface OfferedDelta extends FileFacts {
  /** Absolute, https. */
  readonly url: string
  /** The version that it is made for. */
  readonly from: string
}

export type ParsedAnswer = { readonly answer: Answer } | { readonly problems: readonly string[] }

const versionCharactersMax = 128
const urlCharactersMax = 2048

/** Members that we don't know are left alone: a server may tell others more than us. */
export function parseAnswer(body: string, serverUrl: string): ParsedAnswer {
  let value: unknown
  try {
    value = JSON.parse(body)
  } catch {
    return { problems: [`the answer is not JSON: ${excerpt(body)}`] }
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return { problems: [`the answer is not a JSON object: ${excerpt(body)}`] }
  }
  const problems: string[] = []
  const member = (name: string, charactersMax: number): string | undefined => {
    const text = Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined
    const problem = textProblem(text, charactersMax)
    if (problem === undefined) return text as string
    problems.push(`${name} ${problem}`)
    return undefined
  }
  const version = member('version', versionCharactersMax)
  const bundleUrl = member('bundle_url', urlCharactersMax)
  if (version !== undefined && !isVersion(version)) {
    problems.push(`version "${version}" is not a semantic version such as 1.4.2`)
  }
  const resolved = bundleUrl === undefined ? undefined : resolveBundleUrl(bundleUrl, serverUrl)
  if (resolved !== undefined && 'problem' in resolved) problems.push(`bundle_url ${resolved.problem}`)
  if (problems.length > 0) return { problems }
  return { answer: { version: version!, bundleUrl: (resolved as { url: string }).url } }
}

/** SemVer as it is written: without the "v" and the spaces that tools let pass. */
export function isVersion(text: string): boolean {
  return /^\d\S*$/.test(text) && parseVersion(text) !== null
}

function textProblem(value: unknown, charactersMax: number): string | undefined {
  if (value === undefined) return 'is missing'
  if (typeof value !== 'string') return `is ${value === null ? 'null' : typeof value}, not text`
  if (value === '') return 'is empty'
  if (value.length > charactersMax) return `has ${value.length} characters, more than ${charactersMax}`
  if (!/^[\x21-\x7e]+$/.test(value)) return 'has control characters, spaces or letters beyond ASCII'
  return undefined
}

function resolveBundleUrl(text: string, serverUrl: string): { url: string } | { problem: string } {
  // A server's address may end in a folder; what is relative is meant from inside of it.
  const base = serverUrl.endsWith('/') ? serverUrl : `${serverUrl}/`
  const url = URL.canParse(text, base) ? new URL(text, base) : undefined
  if (url === undefined) return { problem: `"${oneLine(text)}" is not a URL` }
  if (url.protocol !== 'https:') return { problem: `is ${url.protocol.slice(0, -1)}, only https is taken` }
  if (url.username !== '' || url.password !== '') return { problem: 'holds credentials' }
  url.hash = ''
  return { url: url.href }
}

function excerpt(body: string): string {
  const line = oneLine(body, 60)
  return line === '' ? 'it is empty' : `it begins with "${line}"`
}
