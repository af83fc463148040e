import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** One line of apt's configuration: `deb URI SUITE COMPONENTS`. */
export interface AptSource {
  readonly uri: string
  readonly suites: readonly string[]
}

/** What `sources.list` and `sources.list.d/` of the host name, in apt's order. Unreadable files count as empty. */
export function readHostAptSources(aptDir = '/etc/apt'): AptSource[] {
  const partsDir = join(aptDir, 'sources.list.d')
  const parts = readOr(() => readdirSync(partsDir), [])
    .filter((name) => /^[\w.-]+\.(?:list|sources)$/.test(name))
    .sort()
    .map((name) => join(partsDir, name))
  return [join(aptDir, 'sources.list'), ...parts].flatMap((path) => {
    const text = readOr(() => readFileSync(path, 'utf8'), '')
    return path.endsWith('.sources') ? parseDeb822Sources(text) : parseOneLineSources(text)
  })
}

/** The classic format: `deb [options] uri suite component...`. */
export function parseOneLineSources(text: string): AptSource[] {
  const sources: AptSource[] = []
  for (const line of text.split('\n')) {
    const match = /^\s*deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)/.exec(line)
    if (match !== null) sources.push({ uri: match[1]!, suites: [match[2]!] })
  }
  return sources
}

/** The deb822 format: stanzas with Types, URIs, Suites. */
export function parseDeb822Sources(text: string): AptSource[] {
  const sources: AptSource[] = []
  const uncommented = text.split('\n').filter((line) => !line.startsWith('#'))
  for (const stanza of uncommented.join('\n').split(/\n[ \t]*\n/)) {
    const unfolded = stanza.replaceAll(/\n[ \t]+/g, ' ')
    const words = (field: string) =>
      new RegExp(`^${field}:[ \\t]*(.*)$`, 'im').exec(unfolded)?.[1]?.split(/\s+/).filter(Boolean) ?? []
    if (!words('Types').includes('deb') || words('Enabled')[0]?.toLowerCase() === 'no') continue
    for (const uri of words('URIs')) sources.push({ uri, suites: words('Suites') })
  }
  return sources
}

function readOr<T>(read: () => T, otherwise: T): T {
  try {
    return read()
  } catch {
    return otherwise
  }
}
