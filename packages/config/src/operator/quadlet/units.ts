import { isTable } from '../check-schema.ts'
import type { Path } from '../places.ts'
import { type Mode, scalarText } from './boundary.ts'
import type { Section } from './directives.ts'

export type Kind = 'container' | 'network' | 'volume' | 'build'

export const sectionOf: Readonly<Record<Kind, Section>> = {
  container: 'Container',
  network: 'Network',
  volume: 'Volume',
  build: 'Build',
}
export const kinds = Object.keys(sectionOf) as readonly Kind[]

/** A Quadlet of the configuration. */
export interface Unit {
  readonly kind: Kind
  readonly name: string
  /** `web.container` */
  readonly file: string
  /** `web.service`: what Quadlet makes of it. */
  readonly service: string
  /** Under whom it runs; under both when applications of both kinds use it. */
  readonly modes: readonly Mode[]
  /** Quadlets that it names, there or not. */
  readonly references: readonly Reference[]
  readonly path: Path
  readonly value: unknown
}

/** Another Quadlet that a directive names. */
export interface Reference {
  readonly file: string
  readonly path: Path
}

/** All Quadlets of what may be a configuration, in order. */
export function unitsOf(config: unknown): Unit[] {
  const containers = isTable(config) && isTable(config['containers']) ? config['containers'] : {}
  const found = kinds.flatMap((kind) => {
    const table = containers[kind]
    return isTable(table)
      ? Object.entries(table)
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([name, value]) => ({
            kind,
            name,
            file: `${name}.${kind}`,
            path: ['containers', kind, name],
            value,
          }))
      : []
  })
  const withReferences = found.map((unit) => ({ ...unit, references: referencesOf(unit) }))
  const modes = modesOf(withReferences)
  return withReferences.map((unit) => ({ ...unit, service: serviceOf(unit), modes: modes.get(unit.file)! }))
}

type Found = Pick<Unit, 'kind' | 'name' | 'file' | 'path' | 'value'>
type Referring = Found & Pick<Unit, 'references'>

function serviceOf({ kind, name, value }: Found): string {
  const section = isTable(value) ? value[sectionOf[kind]] : undefined
  const own =
    isTable(section) && Object.hasOwn(section, 'ServiceName') ? lastLine(section['ServiceName']) : ''
  if (own !== '') return `${own}.service`
  return `${name}${kind === 'container' ? '' : `-${kind}`}.service`
}

function lastLine(value: unknown): string {
  return scalarText(Array.isArray(value) ? value.at(-1) : value)
}

/**
 * Whatever a container uses runs under whom the container runs, and so does what that uses. What nobody uses gets no
 * privileges.
 */
function modesOf(units: readonly Referring[]): ReadonlyMap<string, readonly Mode[]> {
  const byFile = new Map(units.map((unit) => [unit.file, unit]))
  const modes = new Map(units.map(({ file }) => [file, new Set<Mode>()]))
  const open = units.flatMap((unit): [Referring, Mode][] => {
    if (unit.kind !== 'container') return []
    return [[unit, isTable(unit.value) && unit.value['privileged'] === true ? 'rootful' : 'rootless']]
  })
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const [unit, mode] = next
    const own = modes.get(unit.file)!
    if (own.has(mode)) continue
    own.add(mode)
    for (const { file } of unit.references) {
      const used = byFile.get(file)
      if (used !== undefined && used.kind !== 'container') open.push([used, mode])
    }
  }
  return new Map([...modes].map(([file, set]) => [file, set.size === 0 ? ['rootless'] : [...set].sort()]))
}

const referring = ['Image', 'Mount', 'Network', 'Pod', 'Volume']

/** Quadlets that a unit names, there or not. The network of a container is replaced and names none. */
function referencesOf({ kind, path, value }: Found): Reference[] {
  const section = isTable(value) ? value[sectionOf[kind]] : undefined
  const found: Reference[] = []
  if (!isTable(section)) return found
  for (const name of referring) {
    if (!Object.hasOwn(section, name) || (kind === 'container' && name === 'Network')) continue
    const member = section[name]
    const items: readonly unknown[] = Array.isArray(member) ? member : [member]
    for (const [index, item] of items.entries()) {
      const file = referenceIn(name, scalarText(item))
      if (file === undefined) continue
      const place = [...path, sectionOf[kind], name, ...(Array.isArray(member) ? [index] : [])]
      found.push({ file, path: place })
    }
  }
  return found
}

function referenceIn(directive: string, value: string): string | undefined {
  switch (directive) {
    case 'Image':
    case 'Pod':
      return /^[^/:\s]+\.(?:build|image|pod)$/.exec(value)?.[0]
    case 'Volume':
    case 'Network':
      return /^([^/:\s]+\.(?:volume|network|container))(?::|$)/.exec(value)?.[1]
    case 'Mount':
      return /(?:^|,)(?:source|src)=([^/,\s]+\.(?:volume|image|build))(?:,|$)/.exec(value)?.[1]
    default:
      return undefined
  }
}
