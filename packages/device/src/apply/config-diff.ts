import type { OperatorConfig } from '@atomixos/config/operator/index.ts'

export interface ConfigChange {
  /** As one would write it in TOML. */
  readonly path: string
  /** Left out: it was not said. */
  readonly before?: unknown
  readonly after?: unknown
}

/** What one configuration says otherwise than another, key by key, in order. Lists are compared whole. Pure. */
export function diffConfigs(before: OperatorConfig | undefined, after: OperatorConfig): ConfigChange[] {
  const [old, now] = [new Map(flat(before ?? {}, '')), new Map(flat(after, ''))]
  return [...new Set([...old.keys(), ...now.keys()])]
    .sort()
    .filter((path) => JSON.stringify(old.get(path)) !== JSON.stringify(now.get(path)))
    .map((path) => ({
      path,
      ...(old.has(path) && { before: old.get(path) }),
      ...(now.has(path) && { after: now.get(path) }),
    }))
}

function flat(value: object, path: string): [string, unknown][] {
  return Object.entries(value).flatMap(([key, member]): [string, unknown][] => {
    const name = /^[A-Za-z0-9_-]+$/.test(key) ? key : JSON.stringify(key)
    const inner = path === '' ? name : `${path}.${name}`
    const isTable = typeof member === 'object' && member !== null && !Array.isArray(member)
    // A table that says nothing is still there, such as a volume.
    if (isTable && Object.keys(member).length > 0) return flat(member, inner)
    return [[inner, member]]
  })
}

export function renderChanges(changes: readonly ConfigChange[]): string {
  const line = (sign: string, path: string, value: unknown) => `${sign} ${path} = ${JSON.stringify(value)}\n`
  return changes
    .map(
      ({ path, before, after }) =>
        (before === undefined ? '' : line('-', path, before)) +
        (after === undefined ? '' : line('+', path, after)),
    )
    .join('')
}
