/**
 * Images in archives that a bundle carries, and the containers that name them: the device loads an archive for those, and
 * whoever packs a bundle is told when nobody would. Pure.
 */

/** The image that a container's Quadlet names; undefined for one that is built here. */
export function imageOf({
  unit,
  text,
}: {
  readonly unit: string
  readonly text: string
}): string | undefined {
  if (!unit.endsWith('.container')) return undefined
  const image = /^Image=(.+)$/m.exec(text)?.[1]
  return image === undefined || /^[^/:]+\.(?:build|image)$/.test(image) ? undefined : image
}

/**
 * Whether one of an archive's names is the image that a container asks for. Containers may leave out the tag, and the part
 * before the last slashes; Docker leaves out its own registry in the names of archives, and podman puts it back.
 */
export function isNamed(image: string, names: readonly string[]): boolean {
  const wanted = withTag(image)
  return names
    .map(withTag)
    .some((name) => name === wanted || name.endsWith(`/${wanted}`) || withRegistry(name) === wanted)
}

function withRegistry(name: string): string {
  const [first = '', ...rest] = name.split('/')
  if (rest.length === 0) return `docker.io/library/${name}`
  return /[.:]/.test(first) || first === 'localhost' ? name : `docker.io/${name}`
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

/** The device makes lines and words of the names of archives; some names would break them. */
export function isArchiveName(name: string): boolean {
  return /^[A-Za-z0-9_][A-Za-z0-9._+@-]*$/.test(name)
}
