import { compareVersionTexts, isVersionText } from '../version.ts'
import {
  type Channel,
  channelSchema,
  type FeedDelta,
  type FeedFile,
  type FeedRelease,
  type FeedWindow,
  isoTime,
  type RolloutStep,
  type WeekDay,
  weekDays,
} from './document.ts'
import { channelLimits, isPlainName, windowMinutesMin } from './names.ts'
import { windowMinutes } from './windows.ts'

export type ParsedChannel =
  | { readonly channel: Channel }
  | { readonly kind: 'schema' | 'content'; readonly problems: readonly string[] }

type Fields = Readonly<Record<string, unknown>>

/**
 * A document as it came. All that is wrong with it is named; never throws. Members that are not known are left alone, so
 * that later documents can say more to later systems; what must not be overlooked gets another schema.
 */
export function parseChannel(text: string): ParsedChannel {
  if (text.length > channelLimits.documentBytesMax) {
    return content([`the document is longer than ${channelLimits.documentBytesMax >> 10} KiB`])
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return content(['the document is not JSON'])
  }
  if (!isObject(value)) return content(['the document is not a JSON object'])
  const schema = own(value, 'schema')
  if (schema !== channelSchema) {
    const shown = typeof schema === 'number' ? `${schema}` : 'missing or no number'
    return {
      kind: 'schema',
      problems: [`its schema is ${shown}; this system knows ${channelSchema}`],
    }
  }
  const reader = new Reader()
  const channel = reader.channel(value)
  const problems = reader.problems.length > 0 ? reader.problems : relationProblems(channel)
  return problems.length > 0 ? content(problems) : { channel }
}

function content(problems: readonly string[]): ParsedChannel {
  return { kind: 'content', problems }
}

/** What single values can't show. */
function relationProblems(channel: Channel): string[] {
  const problems: string[] = []
  const { release, stones, steps } = channel
  if (channel.expiresMs <= channel.publishedMs) problems.push('expires is not after published')
  for (const [index, step] of steps.entries()) {
    const before = steps[index - 1]
    if (before === undefined) continue
    if (step.atMs <= before.atMs) problems.push(`steps[${index}].at is not after the step before it`)
    if (step.percent < before.percent) problems.push(`steps[${index}].percent is less than before`)
  }
  for (const [index, stone] of stones.entries()) {
    if (compareVersionTexts(stone.version, release.version) >= 0) {
      problems.push(`stones[${index}].version is not older than the release`)
    }
  }
  for (const [where, { version, floor }] of [
    ['release', release] as const,
    ...stones.map((stone, index) => [`stones[${index}]`, stone] as const),
  ]) {
    if (floor !== undefined && compareVersionTexts(floor, version) >= 0) {
      problems.push(`${where}.floor is not older than its version`)
    }
  }
  return problems
}

/** Reads values and notes what is wrong; what it gives then is of no use. */
class Reader {
  readonly problems: string[] = []

  channel(value: Fields): Channel {
    const { stonesMax, stepsMax, windowsMax, canariesMax } = channelLimits
    return {
      board: this.name(own(value, 'board'), 'board'),
      channel: this.name(own(value, 'channel'), 'channel'),
      sequence: this.count(own(value, 'sequence'), 'sequence', { min: 1 }),
      publishedMs: this.time(own(value, 'published'), 'published'),
      expiresMs: this.time(own(value, 'expires'), 'expires'),
      halt: this.halt(own(value, 'halt')),
      release: this.release(own(value, 'release'), 'release'),
      stones: this.list(value, 'stones', stonesMax, (item, where) => this.release(item, where)),
      steps: this.list(value, 'steps', stepsMax, (item, where) => this.step(item, where)),
      windows: this.list(value, 'windows', windowsMax, (item, where) => this.window(item, where)),
      canaries: this.list(value, 'canaries', canariesMax, (item, where) => this.name(item, where)),
    }
  }

  halt(value: unknown): Channel['halt'] {
    if (value === undefined) return undefined
    const fields = this.object(value, 'halt')
    const reason = this.text(own(fields, 'reason'), isReason, () => {
      return `halt.reason is no line of 1 to ${channelLimits.reasonCharactersMax} characters`
    })
    return { reason, sinceMs: this.time(own(fields, 'since'), 'halt.since') }
  }

  release(value: unknown, where: string): FeedRelease {
    const fields = this.object(value, where)
    const floor = own(fields, 'floor')
    return {
      version: this.version(own(fields, 'version'), `${where}.version`),
      bundle: this.file(own(fields, 'bundle'), `${where}.bundle`),
      deltas: this.list(fields, 'deltas', channelLimits.deltasMax, (item, at) => this.delta(item, at), where),
      floor: floor === undefined ? undefined : this.version(floor, `${where}.floor`),
    }
  }

  delta(value: unknown, where: string): FeedDelta {
    const file = this.file(value, where)
    const from = isObject(value) ? own(value, 'from') : undefined
    return { ...file, from: this.version(from, `${where}.from`) }
  }

  file(value: unknown, where: string): FeedFile {
    const fields = this.object(value, where)
    const path = this.text(
      own(fields, 'path'),
      isFeedPath,
      () => `${where}.path is no plain path below the feed`,
    )
    const sha256 = this.text(
      own(fields, 'sha256'),
      (text) => /^[0-9a-f]{64}$/.test(text),
      () => `${where}.sha256 is not 64 hexadecimal digits`,
    )
    const max = channelLimits.bundleBytesMax
    const sizeBytes = this.count(own(fields, 'size'), `${where}.size`, { min: 1, max })
    return { path, sizeBytes, sha256 }
  }

  step(value: unknown, where: string): RolloutStep {
    const fields = this.object(value, where)
    const percent = own(fields, 'percent')
    const proper = typeof percent === 'number' && percent >= 0 && percent <= 100
    if (!proper) this.problems.push(`${where}.percent is not a number from 0 to 100`)
    return { atMs: this.time(own(fields, 'at'), `${where}.at`), percent: proper ? percent : 0 }
  }

  window(value: unknown, where: string): FeedWindow {
    const fields = this.object(value, where)
    const days = this.list(fields, 'days', weekDays.length, (item, at) => this.day(item, at), where)
    if (days.length === 0) this.problems.push(`${where}.days is empty`)
    const window = {
      days,
      from: this.clock(own(fields, 'from'), `${where}.from`),
      until: this.clock(own(fields, 'until'), `${where}.until`),
    }
    if (windowMinutes(window) < windowMinutesMin) {
      this.problems.push(`${where} is shorter than ${windowMinutesMin} minutes`)
    }
    return window
  }

  day(value: unknown, where: string): WeekDay {
    const day = weekDays.find((name) => name === value)
    if (day === undefined) this.problems.push(`${where} is none of ${weekDays.join(', ')}`)
    return day ?? 'mon'
  }

  clock(value: unknown, where: string): string {
    if (typeof value === 'string' && /^([01]\d|2[0-3]):[0-5]\d$/.test(value)) return value
    this.problems.push(`${where} is no time such as 02:00`)
    return '00:00'
  }

  /** Whole seconds of UTC, between 2020 and 2100. */
  time(value: unknown, where: string): number {
    const ms = typeof value === 'string' && value.length === 20 ? Date.parse(value) : Number.NaN
    if (!Number.isNaN(ms) && ms >= timeMsMin && ms < timeMsMax && isoTime(ms) === value) return ms
    this.problems.push(`${where} is no time such as 2026-12-01T02:00:00Z`)
    return 0
  }

  text(value: unknown, isProper: (text: string) => boolean, problem: () => string): string {
    if (typeof value === 'string' && isProper(value)) return value
    this.problems.push(problem())
    return ''
  }

  version(value: unknown, where: string): string {
    if (typeof value === 'string' && isVersionText(value)) return value
    this.problems.push(`${where} is not a semantic version such as 1.4.2`)
    return '0.0.0'
  }

  name(value: unknown, where: string): string {
    if (typeof value === 'string' && isPlainName(value)) return value
    this.problems.push(`${where} is no name of lower-case letters, digits and hyphens`)
    return ''
  }

  count(value: unknown, where: string, { min, max }: { min: number; max?: number }): number {
    if (Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= (max ?? Infinity)) {
      return value as number
    }
    this.problems.push(`${where} is no whole number from ${min}${max === undefined ? '' : ` to ${max}`}`)
    return 0
  }

  object(value: unknown, where: string): Fields {
    if (isObject(value)) return value
    this.problems.push(`${where} is no object`)
    return {}
  }

  /** A list that is not there is empty. */
  list<T>(
    fields: Fields,
    name: string,
    lengthMax: number,
    read: (item: unknown, where: string) => T,
    inside?: string,
  ): T[] {
    const where = inside === undefined ? name : `${inside}.${name}`
    const value = own(fields, name)
    if (value === undefined) return []
    if (!Array.isArray(value) || value.length > lengthMax) {
      this.problems.push(`${where} is no list of at most ${lengthMax}`)
      return []
    }
    return value.map((item, index) => read(item, `${where}[${index}]`))
  }
}

const timeMsMin = Date.UTC(2020, 0, 1)
const timeMsMax = Date.UTC(2100, 0, 1)

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Never what an object inherits. */
function own(fields: Fields, name: string): unknown {
  return Object.hasOwn(fields, name) ? fields[name] : undefined
}

/** One line that can't move a cursor or hide text. */
export function isReason(text: string): boolean {
  return (
    text.trim() !== '' &&
    text.length <= channelLimits.reasonCharactersMax &&
    !/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.test(text)
  )
}

/** Plain segments: no way out of the feed, to another server, or into a query. */
export function isFeedPath(path: string): boolean {
  return (
    path.length <= channelLimits.pathCharactersMax &&
    path.split('/').every((segment) => /^[A-Za-z0-9_][A-Za-z0-9._+~-]*$/.test(segment))
  )
}
