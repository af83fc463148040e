import { configFolder } from '@atomixos/config'
import type { QuadletEntry } from './quadlets.ts'

export type Mode = QuadletEntry['mode']

/** A Quadlet with what its file says. */
export interface Quadlet extends QuadletEntry {
  readonly text: string
}

export interface QuadletPlan {
  /** Services that end before anything is changed. */
  readonly stop: readonly QuadletEntry[]
  /** Networks of podman that are made anew with other settings, or not at all. */
  readonly removeNetworks: readonly { readonly mode: Mode; readonly name: string }[]
  /** Whether a file differs, so that systemd has to be told. */
  readonly differs: boolean
}

/**
 * From the Quadlets that are active to those that have to be: what stays as it is runs on. What names a file of the
 * configuration is started anew, since the folder it looks into is another one now. Pure.
 */
export function planQuadlets(active: readonly Quadlet[], wanted: readonly Quadlet[]): QuadletPlan {
  const wantedText = new Map(wanted.map((quadlet) => [keyOf(quadlet), quadlet.text]))
  const changed = active.filter((quadlet) => wantedText.get(keyOf(quadlet)) !== quadlet.text)
  const stop = new Map(changed.map((quadlet) => [keyOf(quadlet), quadlet]))
  for (const quadlet of active) {
    if (quadlet.text.includes(`${configFolder}/`)) stop.set(keyOf(quadlet), quadlet)
  }
  for (let before = -1; before !== stop.size; ) {
    before = stop.size
    for (const quadlet of active) {
      if (uses(quadlet, stop)) stop.set(keyOf(quadlet), quadlet)
    }
  }
  const activeKeys = new Set(active.map(keyOf))
  return {
    stop: [...stop.values()].map(({ unit, service, mode }) => ({ unit, service, mode })),
    removeNetworks: changed.flatMap((quadlet) =>
      quadlet.unit.endsWith('.network') ? [{ mode: quadlet.mode, name: networkNameOf(quadlet) }] : [],
    ),
    differs: changed.length > 0 || wanted.some((quadlet) => !activeKeys.has(keyOf(quadlet))),
  }
}

function keyOf({ mode, unit }: QuadletEntry): string {
  return `${mode} ${unit}`
}

/** Directives name another Quadlet by its file name, as a word of their value. */
function uses({ mode, text }: Quadlet, others: ReadonlyMap<string, Quadlet>): boolean {
  return text.split(/[\s=,:]+/).some((word) => others.has(`${mode} ${word}`))
}

function networkNameOf({ unit, text }: Quadlet): string {
  const own = /^NetworkName=(.+)$/m.exec(text)?.[1]
  return own ?? `systemd-${unit.slice(0, unit.lastIndexOf('.'))}`
}

/** The image that a container names; undefined for one that is built here. */
export function imageOf({ unit, text }: Pick<Quadlet, 'unit' | 'text'>): string | undefined {
  if (!unit.endsWith('.container')) return undefined
  const image = /^Image=(.+)$/m.exec(text)?.[1]
  return image === undefined || /^[^/:]+\.(?:build|image)$/.test(image) ? undefined : image
}

/**
 * Whether one of an archive's names is the image that a container asks for. Archives have full names, containers may
 * leave out the tag, and the part before the last slashes.
 */
export function isNamed(image: string, names: readonly string[]): boolean {
  const wanted = withTag(image)
  return names.map(withTag).some((name) => name === wanted || name.endsWith(`/${wanted}`))
}

function withTag(name: string): string {
  return /:[^/]+$/.test(name) ? name : `${name}:latest`
}

/**
 * Names in an archive's `manifest.json` (docker-archive) or `index.json` (oci-archive), one after the other as tar gives
 * them. What cannot be read names nothing. Pure.
 */
export function namesInArchive(text: string): string[] {
  const names: string[] = []
  for (const document of documentsIn(text)) {
    const entries: readonly unknown[] = Array.isArray(document)
      ? document
      : ((document as { manifests?: unknown[] } | null)?.manifests ?? [])
    for (const entry of entries) {
      const { RepoTags: tags, annotations } = (entry ?? {}) as {
        RepoTags?: unknown
        annotations?: Readonly<Record<string, unknown>>
      }
      const found = Array.isArray(tags) ? tags : [annotations?.['org.opencontainers.image.ref.name']]
      names.push(...found.filter((name) => typeof name === 'string'))
    }
  }
  return names
}

/** JSON documents that follow each other without anything between them: a list, an object, or both. */
function documentsIn(text: string): unknown[] {
  const trimmed = text.trim()
  const ends = [trimmed.length]
  for (const match of trimmed.matchAll(/[\]}]\s*(?=[[{])/g)) ends.push(match.index + match[0].length)
  for (const end of ends) {
    const parts = [trimmed.slice(0, end), trimmed.slice(end)].filter((part) => part !== '')
    try {
      return parts.map((part) => JSON.parse(part) as unknown)
    } catch {
      // Not here.
    }
  }
  return []
}
