import type { Parsed, Problem } from '../problem.ts'

/** Takes down a problem at a place inside the file. */
export type Report = (path: string, message: string, hint?: string) => void

/** Larger than any file that a valid configuration gives. */
const textBytesMax = 1024 * 1024

/**
 * A derived file, whole or not at all: with a single problem in it the safe settings hold instead. Nothing of such a
 * file is used in part.
 */
export function parseFile<T>(
  fileName: string,
  text: string,
  safe: T,
  read: (value: unknown, report: Report) => T | undefined,
): Parsed<T> {
  const problems: Problem[] = []
  const report: Report = (path, message, hint) =>
    problems.push({
      path: path === '' ? fileName : `${fileName}: ${path}`,
      message,
      ...(hint !== undefined && { hint }),
    })
  const value = parseJson(text, report)
  const settings = problems.length === 0 ? read(value, report) : undefined
  return settings === undefined || problems.length > 0 ? { settings: safe, problems } : { settings, problems }
}

function parseJson(text: string, report: Report): unknown {
  if (text.length > textBytesMax) {
    report('', `it is longer than ${textBytesMax} characters`, 'import config.toml again')
    return undefined
  }
  try {
    return JSON.parse(text)
  } catch {
    report('', 'it is not JSON', 'import config.toml again: nothing edits this file in place')
    return undefined
  }
}

/** The members of an object that has no other keys than these; undefined after a problem with the object itself. */
export function readObject<Key extends string>(
  value: unknown,
  path: string,
  keys: readonly Key[],
  report: Report,
): Readonly<Partial<Record<Key, unknown>>> | undefined {
  if (!isObject(value)) {
    report(path, `${shown(value)} is not an object`)
    return undefined
  }
  const allowed: readonly string[] = keys
  for (const key of Object.keys(value)) {
    if (!allowed.includes(key)) report(join(path, key), 'there is no such key', `allowed: ${keys.join(', ')}`)
  }
  return Object.fromEntries(
    keys.filter((key) => Object.hasOwn(value, key)).map((key) => [key, value[key]]),
  ) as Partial<Record<Key, unknown>>
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** What is left of a list when each item that is wrong was reported. A list that is not there is empty. */
export function readList<T>(
  value: unknown,
  path: string,
  itemsMax: number,
  readItem: (item: unknown, path: string) => T | undefined,
  report: Report,
): T[] {
  if (value === undefined) return []
  if (!Array.isArray(value)) {
    report(path, `${shown(value)} is not a list`)
    return []
  }
  if (value.length > itemsMax) {
    report(path, `it has ${value.length} entries`, `at most ${itemsMax} are allowed`)
    return []
  }
  const items = value.map((item: unknown, index) => readItem(item, `${path}[${index}]`))
  return [...new Set(items.filter((item) => item !== undefined))]
}

/** A string that `accept` takes; undefined, and reported, when it is anything else. */
export function readString(
  value: unknown,
  path: string,
  accept: (text: string) => boolean,
  expected: string,
  report: Report,
): string | undefined {
  if (typeof value === 'string' && accept(value)) return value
  report(path, `${shown(value)} is not ${expected}`)
  return undefined
}

/** Where a member is. A key that is not plain is shown with its quotes, on one line. */
export function join(path: string, key: string): string {
  const plain = /^[A-Za-z0-9_-]{1,40}$/.test(key) ? key : shown(key)
  return path === '' ? plain : `${path}.${plain}`
}

/** Any value in one short line of printable ASCII. */
export function shown(value: unknown): string {
  const text = value === undefined ? 'nothing' : (JSON.stringify(value) ?? 'nothing')
  const ascii = text.replace(/[^\x20-\x7e]/g, '?')
  return ascii.length > 60 ? `${ascii.slice(0, 57)}...` : ascii
}
