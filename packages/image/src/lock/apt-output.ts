import type { LockedFile, LockedPackage } from './lock.ts'

/** A file as `--print-uris` names it. */
export interface PrintedUri extends Pick<LockedFile, 'archive' | 'path' | 'sizeBytes'> {
  readonly sha256: string | undefined
}

/** Lines like `'copy:/mirror/debian/pool/main/d/dash/dash_0.5_arm64.deb' dash_0.5_arm64.deb 97000 SHA256:...`. */
export function parsePrintedUris(output: string, mirrorPath: string): PrintedUri[] {
  const uris: PrintedUri[] = []
  for (const [, uri, size, hash] of output.matchAll(/^'([^']+)' \S+ (\d+)(?: (\S+))?\s*$/gm)) {
    const path = decodeURIComponent(uri!.replace(/^(?:copy|file):(?:\/\/)?/, ''))
    const match = new RegExp(`^${mirrorPath}/(debian|debian-security)/(.+)$`).exec(path)
    if (match === null) throw new Error(`apt names a file outside of the mirror: ${uri}`)
    uris.push({
      archive: match[1] as LockedFile['archive'],
      path: match[2]!,
      sizeBytes: Number(size),
      sha256: /^SHA256:([0-9a-f]{64})$/.exec(hash ?? '')?.[1],
    })
  }
  return uris
}

/** The paragraphs of a Debian control file; folded fields keep their line breaks. Field names in lower case. */
export function parseStanzas(text: string): Map<string, string>[] {
  return text
    .split(/\n{2,}/)
    .filter((stanza) => stanza.trim() !== '')
    .map((stanza) => {
      const fields = new Map<string, string>()
      let name = ''
      for (const line of stanza.split('\n')) {
        const match = /^([A-Za-z][\w-]*):\s*(.*)$/.exec(line)
        if (match !== null) {
          name = match[1]!.toLowerCase()
          fields.set(name, match[2]!)
        } else if (/^\s/.test(line)) fields.set(name, `${fields.get(name) ?? ''}\n${line.trim()}`)
      }
      return fields
    })
}

/** One locked package from its printed address and the stanza of the verified index that has the same path. */
export function toLockedPackage(uri: PrintedUri, stanza: ReadonlyMap<string, string>): LockedPackage {
  const need = (field: string) => {
    const value = stanza.get(field)
    if (value === undefined) throw new Error(`${uri.path} has no ${field} in the index`)
    return value
  }
  const name = need('package')
  const version = need('version')
  // `Source: glibc (2.41-1)`; left out where it equals the package's own name and version.
  const source = /^(\S+)(?: \((.+)\))?$/.exec(stanza.get('source') ?? name)!
  return {
    name,
    version,
    architecture: need('architecture'),
    source: source[1]!,
    sourceVersion: source[2] ?? version,
    archive: uri.archive,
    path: uri.path,
    sizeBytes: Number(need('size')),
    sha256: need('sha256'),
  }
}
