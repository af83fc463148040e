import { parse, TomlError } from 'smol-toml'
import { checkConfig } from './check-config.ts'
import type { OperatorConfig } from './contract.ts'
import { lineAndColumn, lineStartsOf, locate, offsetOf } from './locate.ts'
import { type ConfigProblem, type Finding, pathText } from './places.ts'

export interface ParsedConfig {
  /** Undefined with a single problem. */
  readonly config: OperatorConfig | undefined
  /** In the order of the text. */
  readonly problems: readonly ConfigProblem[]
  readonly warnings: readonly ConfigProblem[]
}

/** Far more than 1,000 containers need. */
export const configBytesMax = 4 * 1024 * 1024

/** Of each, more would help nobody. */
const shownMax = 1000

/** `config.toml`, as bytes or text. Bad input is data: never throws. Pure. */
export function parseConfig(source: Uint8Array | string): ParsedConfig {
  if (source.length > configBytesMax) {
    return refused({ path: '', message: `it is longer than ${configBytesMax / 1024 / 1024} MiB` })
  }
  const text = typeof source === 'string' ? source : decode(source)
  if (typeof text !== 'string') return refused(text)
  let value: unknown
  try {
    // Integers that a number cannot hold, and lists in lists without end, are refused by it as well.
    value = parse(text, { maxDepth: 64 })
  } catch (error) {
    if (error instanceof TomlError) {
      const { line, column } = error
      return refused({
        path: '',
        message: syntaxMessage(error.message),
        hint: 'it is not TOML: see toml.io',
        line,
        column,
      })
    }
    // A date that does not exist, say: whatever it is, this is no configuration.
    return refused({ path: '', message: 'it is not TOML' })
  }
  const { config, problems, warnings } = checkConfig(value)
  if (problems.length + warnings.length === 0) return { config, problems: [], warnings: [] }
  const place = placer(text)
  return { config, problems: place(problems), warnings: place(warnings) }
}

function refused(problem: ConfigProblem): ParsedConfig {
  return { config: undefined, problems: [problem], warnings: [] }
}

function decode(bytes: Uint8Array): string | ConfigProblem {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    // Up to the first byte that is none, text is text.
    let good = 0
    for (let bad = bytes.length; good + 1 < bad; ) {
      const middle = (good + bad) >> 1
      if (isPrefix(bytes.subarray(0, middle))) good = middle
      else bad = middle
    }
    const { line, column } = endOf(new TextDecoder().decode(bytes.subarray(0, good)))
    return { path: '', message: 'it is not UTF-8', hint: 'save it as UTF-8', line, column }
  }
}

function isPrefix(bytes: Uint8Array): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: true })
    return true
  } catch {
    return false
  }
}

function endOf(text: string): { line: number; column: number } {
  return lineAndColumn(lineStartsOf(text), text.length)
}

/** The first line of what the parser says; the rest of it shows the place, which is told otherwise. */
function syntaxMessage(message: string): string {
  const first = message.split('\n')[0]!.replace(/^Invalid TOML document: /, '')
  return first.replace(/[^\x20-\x7e]/g, '?').slice(0, 200)
}

function placer(text: string): (findings: readonly Finding[]) => ConfigProblem[] {
  const places = locate(text)
  const lineStarts = lineStartsOf(text)
  return (findings) => {
    const located = findings.map(({ path, message, hint }) => ({
      offset: offsetOf(places, path),
      problem: { path: pathText(path), message, ...(hint !== undefined && { hint }) },
    }))
    located.sort((a, b) => a.offset - b.offset)
    const shown: ConfigProblem[] = located
      .slice(0, shownMax)
      .map(({ offset, problem }) => ({ ...problem, ...lineAndColumn(lineStarts, offset) }))
    const more = located.length - shown.length
    return more === 0 ? shown : [...shown, { path: '', message: `and ${more} more` }]
  }
}
