import { shown } from '../network/read-json.ts'
import type { Problem } from '../problem.ts'

/** Keys and indices from the top of the file. */
export type Path = readonly (string | number)[]

/** A problem of `config.toml`, with the place in the text where there is a text. */
export interface ConfigProblem extends Problem {
  /** From 1. */
  readonly line?: number
  /** In characters, from 1. */
  readonly column?: number
}

/** A problem that knows its keys, for finding its place. */
export interface Finding {
  readonly path: Path
  readonly message: string
  readonly hint?: string
}

/** Takes down what is wrong, or what is only remarkable. */
export type Tell = (path: Path, message: string, hint?: string) => void

/** As one would write it in TOML: `network.interfaces.eth1.dns_servers[0]`. One short line of printable ASCII. */
export function pathText(path: Path): string {
  let text = ''
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`
    else text += `${text === '' ? '' : '.'}${/^[A-Za-z0-9_-]{1,128}$/.test(part) ? part : shown(part)}`
  }
  return text.length > 1000 ? `${text.slice(0, 997)}...` : text
}

/** Any value in a few characters. Tables and lists are not shown: they may be as deep as a hostile file likes. */
export function valueText(value: unknown): string {
  if (Array.isArray(value)) return 'a list'
  if (value instanceof Date) return 'a date'
  if (typeof value === 'object' && value !== null) return 'a table'
  if (typeof value === 'number') return String(value)
  return shown(value)
}

/** Names and values of a hostile file stand in what is told: it goes to terminals and logs. */
function printable(text: string): string {
  const ascii = text.replace(/[^\x20-\x7e]/g, '?')
  return ascii.length > 300 ? `${ascii.slice(0, 297)}...` : ascii
}

/** What was found, each thing once. */
export class Findings {
  readonly list: Finding[] = []
  private readonly seen = new Set<string>()
  private readonly places = new Set<string>()
  private settled: ReadonlySet<string> = new Set()

  readonly tell: Tell = (path, message, hint) => {
    const place = JSON.stringify(path)
    const key = `${place} ${message}`
    if (this.settled.has(place) || this.seen.has(key)) return
    this.seen.add(key)
    this.places.add(place)
    this.list.push({
      path,
      message: printable(message),
      ...(hint !== undefined && { hint: printable(hint) }),
    })
  }

  /** From now on nothing more is told of places that something was told of: it would follow from that. */
  settle(): void {
    this.settled = new Set(this.places)
  }

  /** Whether something was told of this place, or of what it is in. */
  hasWithin(path: Path): boolean {
    return path.some((_, index) => this.places.has(JSON.stringify(path.slice(0, index + 1))))
  }
}
