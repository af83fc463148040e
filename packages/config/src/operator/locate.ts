import type { Path } from './places.ts'

/**
 * Where keys and values of a TOML text begin. For texts that a parser has accepted: it tells tables from strings and
 * comments, and leaves everything else to that parser. With a text that it cannot follow it ends early, and knows less.
 */
export function locate(text: string): ReadonlyMap<string, number> {
  return new Scanner(text).run()
}

/** The offset of the value with this path, or of the nearest table that it would be in; 0 when there is none. */
export function offsetOf(places: ReadonlyMap<string, number>, path: Path): number {
  for (let length = path.length; length > 0; length -= 1) {
    const offset = places.get(JSON.stringify(path.slice(0, length)))
    if (offset !== undefined) return offset
  }
  return 0
}

/** Of a character in a text, both from 1. */
export function lineAndColumn(
  lineStarts: readonly number[],
  offset: number,
): { line: number; column: number } {
  let low = 0
  let high = lineStarts.length - 1
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if (lineStarts[middle]! <= offset) low = middle
    else high = middle - 1
  }
  return { line: low + 1, column: offset - lineStarts[low]! + 1 }
}

export function lineStartsOf(text: string): number[] {
  const starts = [0]
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) starts.push(at + 1)
  return starts
}

/** A text that is not as a parser would have accepted it. */
class Lost extends Error {}

/** Keys and indices in each other: more than the schema has. What is deeper has the place of what it is in. */
const depthMax = 16

class Scanner {
  private at = 0
  private readonly places = new Map<string, number>()
  /** How many tables each list of tables has. */
  private readonly counts = new Map<string, number>()
  private readonly text: string

  constructor(text: string) {
    this.text = text
  }

  run(): ReadonlyMap<string, number> {
    let table: Path = []
    if (this.text.charCodeAt(0) === 0xfeff) this.at = 1
    try {
      for (this.skipBlank(); this.at < this.text.length; this.skipBlank()) {
        if (this.text[this.at] === '[') table = this.readHeader()
        else this.readPair(table, 0)
      }
    } catch (error) {
      if (!(error instanceof Lost)) throw error
    }
    return this.places
  }

  private readHeader(): Path {
    const start = this.at
    const isList = this.text[this.at + 1] === '['
    this.at += isList ? 2 : 1
    const keys = this.readKey(']')
    this.at += isList ? 2 : 1
    let path: Path = []
    for (const [index, key] of keys.entries()) {
      path = this.note(path, key, start)
      const name = JSON.stringify(path)
      const last = index === keys.length - 1
      if (isList && last) this.counts.set(name, (this.counts.get(name) ?? 0) + 1)
      const count = this.counts.get(name)
      if (count !== undefined) {
        path = this.note(path, count - 1, start)
      }
    }
    return path
  }

  private readPair(table: Path, depth: number): void {
    const start = this.at
    const keys = this.readKey('=')
    this.at += 1
    let path = table
    for (const key of keys) path = this.note(path, key, start)
    this.skipBlank()
    this.readValue(path, depth)
  }

  private readKey(end: string): string[] {
    const keys: string[] = []
    for (;;) {
      this.skipSpace()
      const mark = this.text[this.at]
      if (mark === '"' || mark === "'") keys.push(this.readString())
      else {
        const start = this.at
        while (this.at < this.text.length && /[A-Za-z0-9_-]/.test(this.text[this.at]!)) this.at += 1
        if (this.at === start) throw new Lost()
        keys.push(this.text.slice(start, this.at))
      }
      this.skipSpace()
      if (this.text[this.at] === end) return keys
      if (this.text[this.at] !== '.') throw new Lost()
      this.at += 1
    }
  }

  private readValue(path: Path, depth: number): void {
    if (depth > 4 * depthMax) throw new Lost()
    const mark = this.text[this.at]
    if (mark === '"' || mark === "'") return void this.readString()
    if (mark === '[') {
      this.at += 1
      for (let index = 0; this.more(']'); index += 1) {
        this.readValue(this.note(path, index, this.at), depth + 1)
      }
      return
    }
    if (mark === '{') {
      this.at += 1
      while (this.more('}')) this.readPair(path, depth + 1)
      return
    }
    const start = this.at
    while (this.at < this.text.length && !/[,\]}#\n]/.test(this.text[this.at]!)) this.at += 1
    if (this.at === start) throw new Lost()
  }

  /** Whether another item comes, up to its first character; behind the end otherwise. */
  private more(end: string): boolean {
    this.skipBlank()
    if (this.text[this.at] === ',') {
      this.at += 1
      this.skipBlank()
    }
    if (this.at >= this.text.length) throw new Lost()
    if (this.text[this.at] !== end) return true
    this.at += 1
    return false
  }

  private readString(): string {
    const mark = this.text[this.at]!
    const long = this.text.startsWith(mark.repeat(3), this.at)
    const quote = long ? mark.repeat(3) : mark
    const start = this.at + quote.length
    for (this.at = start; !this.text.startsWith(quote, this.at); this.at += 1) {
      if (this.at >= this.text.length) throw new Lost()
      if (mark === '"' && this.text[this.at] === '\\') this.at += 1
    }
    // Up to two quotes may stand right before the three that end it.
    if (long) while (this.text[this.at + 3] === mark) this.at += 1
    const raw = this.text.slice(start, this.at)
    this.at += quote.length
    return mark === '"' && !long ? unescaped(raw) : raw
  }

  /** Spaces, line ends and comments. */
  private skipBlank(): void {
    for (;;) {
      while (this.at < this.text.length && /\s/.test(this.text[this.at]!)) this.at += 1
      if (this.text[this.at] !== '#') return
      const end = this.text.indexOf('\n', this.at)
      this.at = end === -1 ? this.text.length : end
    }
  }

  private skipSpace(): void {
    while (this.text[this.at] === ' ' || this.text[this.at] === '\t') this.at += 1
  }

  private note(table: Path, part: string | number, offset: number): Path {
    if (table.length >= depthMax) return table
    const path = [...table, part]
    const key = JSON.stringify(path)
    if (!this.places.has(key)) this.places.set(key, offset)
    return path
  }
}

const escapes: Readonly<Record<string, string>> = { b: '\b', t: '\t', n: '\n', f: '\f', r: '\r', e: '\x1b' }

function unescaped(raw: string): string {
  return raw.replace(
    /\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|x([0-9A-Fa-f]{2})|(.))/g,
    (_, four?: string, eight?: string, two?: string, one?: string) => {
      if (one !== undefined) return escapes[one] ?? one
      const code = Number.parseInt((four ?? eight ?? two)!, 16)
      return code > 0x10ffff ? '' : String.fromCodePoint(code)
    },
  )
}
