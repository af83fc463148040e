import { isTable } from '../check-schema.ts'
import { nearest } from '../nearest.ts'
import type { Path, Tell } from '../places.ts'
import { valueText } from '../places.ts'
import type { Directive, Scalar } from '../words.ts'
import { directives, type Section, unitDirectiveNames, unitVerdict, type Verdict } from './directives.ts'
import { fillIn } from './values.ts'

export type Mode = 'rootful' | 'rootless'

/** Directives of one section by name, each with the lines it gives. */
export type Lines = Readonly<Record<string, readonly string[]>>

/** Bind address of everything that an application without privileges publishes. */
const publishAddress = '127.0.0.1'

/** A section as the operator wrote it, as lines of text with the folders' names filled in; names in order. */
export function linesOf(section: Readonly<Record<string, Directive>> | undefined): Lines {
  return Object.fromEntries(
    Object.entries(section ?? {})
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, value]) => [name, (Array.isArray(value) ? value : [value]).map(lineOf)]),
  )
}

function lineOf(value: Scalar): string {
  return fillIn(String(value))
}

/**
 * [Container] as it is rendered: on the host's network with privileges; without them on pasta's, with what it publishes
 * on 127.0.0.1. Whatever is changed is told. Values that have been validated.
 */
export function enforceContainer(lines: Lines, mode: Mode, path: Path, warn: Tell): Lines {
  const network = mode === 'rootful' ? 'host' : 'pasta'
  const asked = lines['Network'] ?? []
  if (asked.length > 0 && (asked.length > 1 || asked[0] !== network)) {
    const why = mode === 'rootful' ? 'with privileges' : 'without privileges'
    warn(
      [...path, 'Network'],
      `${asked.map(valueText).join(', ')} is replaced by "${network}"`,
      `${why} it is always that`,
    )
  }
  const enforced: Record<string, readonly string[]> = { ...lines, Network: [network] }
  const published = lines['PublishPort']
  if (mode === 'rootless' && published !== undefined) {
    enforced['PublishPort'] = published.map((value, index) => {
      const port = parsePublished(value)
      if (port === undefined) return `${publishAddress}:${value}`
      if (port.address !== undefined && port.address !== publishAddress) {
        warn(
          [...path, 'PublishPort', index],
          `the bind address ${valueText(port.address)} is replaced by ${publishAddress}`,
          'a proxy faces the networks, and reaches it there',
        )
      }
      return `${publishAddress}:${port.ports}`
    })
  }
  if (mode === 'rootful' && published !== undefined) {
    warn(
      [...path, 'PublishPort'],
      "it has no effect on the host's network",
      'the application itself says where it listens',
    )
  }
  return Object.fromEntries(Object.entries(enforced).sort(([a], [b]) => (a < b ? -1 : 1)))
}

export interface Published {
  readonly address: string | undefined
  /** `8080:80/tcp` */
  readonly ports: string
  readonly protocol: 'tcp' | 'udp'
  readonly first: number
  readonly last: number
}

/** `[ADDRESS:]HOST[-LAST]:CONTAINER[-LAST][/PROTOCOL]`; undefined when it is anything else, or has no host port. */
export function parsePublished(value: string): Published | undefined {
  const match =
    /^(?:(\[[^\]]*\]|[^[\]:]*):)?((\d{1,5})(?:-(\d{1,5}))?:(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp))?)$/.exec(
      value,
    )
  if (match === null) return undefined
  const [, address, ports, from, to = from, innerFrom, innerTo = innerFrom, protocol = 'tcp'] = match
  const [first, last, innerFirst, innerLast] = [from, to, innerFrom, innerTo].map(Number) as [
    number,
    number,
    number,
    number,
  ]
  const inRange = [first, last, innerFirst, innerLast].every((port) => port >= 1 && port <= 65_535)
  if (!inRange || first > last || last - first !== innerLast - innerFirst) return undefined
  return { address, ports: ports!, protocol: protocol as 'tcp' | 'udp', first, last }
}

/** Tells every directive with which an application without privileges would leave its bounds. */
export function checkSection(section: Section, value: unknown, path: Path, tell: Tell): void {
  for (const [name, lines] of rawLines(value)) {
    if (!Object.hasOwn(directives[section], name)) continue
    judge(directives[section][name]!, lines, [...path, name], name !== 'Exec', tell)
  }
}

export function checkUnitSection(section: 'Unit' | 'Install', value: unknown, path: Path, tell: Tell): void {
  for (const [name, lines] of rawLines(value)) {
    const verdict = unitVerdict(section, name)
    if (verdict === undefined) {
      const meant = nearest(name, unitDirectiveNames(section))
      tell(
        [...path, name],
        'without privileges it is not allowed',
        meant === undefined ? 'docs/config.md has the list' : `did you mean "${meant}"?`,
      )
    } else judge(verdict, lines, [...path, name], false, tell)
  }
}

function judge(verdict: Verdict, lines: readonly Line[], path: Path, isArgument: boolean, tell: Tell): void {
  if (verdict.verdict === 'refused') {
    tell(path, 'without privileges it is refused', verdict.why)
    return
  }
  for (const { text, at } of lines) {
    const place = at === undefined ? path : [...path, at]
    if (verdict.verdict === 'checked' && !verdict.accept(text)) {
      tell(place, `${valueText(text)} is not allowed without privileges`, `allowed: ${verdict.what}`)
    } else if (path.at(-1) === 'PublishPort' && isArgument && parsePublished(text) === undefined) {
      tell(
        place,
        `${valueText(text)} has no numeric port of the host`,
        'for example "8080:80", or "5353:53/udp"',
      )
    } else if (verdict.verdict === 'free' && isArgument && vanishing.test(text)) {
      const hint = 'write out what it stands for, or put it into Exec'
      tell(place, `${valueText(text)} has a word that begins with "$"`, hint)
    }
  }
}

/**
 * A word that begins with "$", by itself, in quotes or as an escape. systemd puts as many words in its place as the
 * variable has, or none: the option of podman before it would take the one behind it for its value, and a label such as
 * `--privileged=true` would be an option. What Exec says comes behind the image, where nothing is an option.
 */
const vanishing = /(?:^|\s)["'\\]*\$|\\(?:x24|0?44|u0024|U00000024)/

interface Line {
  readonly text: string
  /** Its index, in a list. */
  readonly at?: number
}

/** Lines of a section that may not be valid: what is no scalar was told already. */
function* rawLines(value: unknown): Generator<readonly [string, readonly Line[]]> {
  if (!isTable(value)) return
  for (const [name, member] of Object.entries(value)) {
    const lines = Array.isArray(member)
      ? member.map((item: unknown, at): Line => ({ text: scalarText(item), at }))
      : [{ text: scalarText(member) }]
    yield [name, lines]
  }
}

export function scalarText(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? fillIn(String(value))
    : ''
}
