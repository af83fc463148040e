import type { Mount, Unit, UnitValue } from './words.ts'

/** A unit or drop-in as the checks read it: section to directive to values, in order; an empty value resets. */
export type ParsedUnit = ReadonlyMap<string, ReadonlyMap<string, readonly string[]>>

/** systemd's own text form of a unit. Directives in the order given; a list repeats the directive. */
export function renderUnit(unit: Unit): string {
  return Object.entries(unit)
    .map(([section, directives]) => `[${section}]\n${renderDirectives(directives)}`)
    .join('\n')
}

function renderDirectives(directives: Readonly<Record<string, UnitValue>>): string {
  return Object.entries(directives)
    .flatMap(([name, value]) =>
      (isList(value) ? value : [value]).map((item) => `${name}=${renderValue(item)}\n`),
    )
    .join('')
}

function isList(value: UnitValue): value is readonly (string | number)[] {
  return Array.isArray(value)
}

function renderValue(value: string | number | boolean): string {
  if (typeof value === 'boolean') return value ? 'yes' : 'no'
  return String(value)
}

/** Reads comments, continued lines and repeated directives as systemd.syntax(7) has them. */
export function parseUnit(text: string): ParsedUnit {
  const sections = new Map<string, Map<string, string[]>>()
  let section: Map<string, string[]> | undefined
  let continued = ''
  for (const raw of text.split('\n')) {
    // A comment inside a continued line is skipped and does not end it.
    if (/^\s*[#;]/.test(raw)) continue
    const line = continued + raw
    if (line.endsWith('\\')) {
      continued = `${line.slice(0, -1)} `
      continue
    }
    continued = ''
    const header = /^\s*\[([^\]]+)\]\s*$/.exec(line)
    if (header !== null) {
      section = sections.get(header[1]!) ?? new Map()
      sections.set(header[1]!, section)
      continue
    }
    const at = line.indexOf('=')
    if (at < 0 || section === undefined) continue
    const name = line.slice(0, at).trim()
    const values = section.get(name) ?? []
    values.push(line.slice(at + 1).trim())
    section.set(name, values)
  }
  return sections
}

/** `/srv/my-data` to `srv-my\x2ddata`, as systemd-escape --path does. */
export function escapePath(path: string): string {
  const trimmed = path.replace(/^\/+|\/+$/g, '').replace(/\/+/g, '/')
  if (trimmed === '') return '-'
  return [...Buffer.from(trimmed)]
    .map((byte, index) => {
      const character = String.fromCharCode(byte)
      if (character === '/') return '-'
      if (/[A-Za-z0-9:_]/.test(character) || (character === '.' && index > 0)) return character
      return `\\x${byte.toString(16).padStart(2, '0')}`
    })
    .join('')
}

/** The mount unit of a mount point, by the name that systemd demands. */
export function mountUnit(where: string, mount: Mount): { readonly name: string; readonly unit: Unit } {
  const optional = mount.options?.includes('nofail') === true
  return {
    name: `${escapePath(where)}.mount`,
    unit: {
      Unit: { Description: `Mount of ${where}`, Before: 'local-fs.target', ...mount.unit },
      Mount: {
        What: mount.what,
        Where: where,
        Type: mount.type,
        ...(mount.options === undefined ? {} : { Options: mount.options.join(',') }),
      },
      Install: optional ? { WantedBy: 'local-fs.target' } : { RequiredBy: 'local-fs.target' },
    },
  }
}

/** `container@web.service` to `container@.service`; undefined when it is not an instance. */
export function templateOf(unitName: string): string | undefined {
  const match = /^([^@]+@)[^@]+(\.[a-z]+)$/.exec(unitName)
  return match === null ? undefined : `${match[1]}${match[2]}`
}
