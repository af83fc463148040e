import {
  type FeedWindow,
  isPlainName,
  isVersionText,
  type RolloutStep,
  type WeekDay,
  weekDays,
} from '@atomixos/config'
import { UserError } from '@atomixos/image/errors.ts'

/** What people write for roll-outs, windows and times. Pure; throws UserError. */

const unitMs = { m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** `90d`, `36h`, `30m` */
export function parseDuration(text: string): number {
  const match = /^(\d{1,5})([mhd])$/.exec(text)
  if (match === null) throw wrong(`"${text}" is no duration`, 'write it as 30m, 36h or 90d')
  return Number(match[1]) * unitMs[match[2] as keyof typeof unitMs]
}

/** `1%@now 10%@+24h 100%@2026-12-24T02:00Z`, with spaces or commas between. */
export function parseSteps(words: readonly string[], nowMs: number): RolloutStep[] {
  const steps = words
    .flatMap((word) => word.split(/[\s,]+/))
    .filter((word) => word !== '')
    .map((word) => parseStep(word, nowMs))
  for (const [index, step] of steps.entries()) {
    const before = steps[index - 1]
    if (before !== undefined && step.atMs <= before.atMs) {
      throw wrong(`step ${index + 1} of the roll-out is not later than the one before it`)
    }
    if (before !== undefined && step.percent < before.percent) {
      throw wrong(
        `step ${index + 1} of the roll-out is smaller than the one before it`,
        'devices never go back',
      )
    }
  }
  return steps
}

function parseStep(word: string, nowMs: number): RolloutStep {
  const match = /^(\d{1,3}(?:\.\d{1,3})?)%?(?:@(.+))?$/.exec(word)
  const percent = Number(match?.[1] ?? Number.NaN)
  if (match === null || !(percent <= 100)) {
    throw wrong(
      `"${word}" is no step of a roll-out`,
      'write PERCENT@TIME: 1%@now, 10%@+24h, 100%@2026-12-24T02:00Z',
    )
  }
  return { percent, atMs: parseTime(match[2] ?? 'now', nowMs) }
}

/** `now`, `+24h`, or a time of UTC, down to the minute or second. */
export function parseTime(text: string, nowMs: number): number {
  const seconds = Math.floor(nowMs / 1000) * 1000
  if (text === 'now') return seconds
  if (text.startsWith('+')) return seconds + parseDuration(text.slice(1))
  const match = /^(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d)(?::(\d\d))?Z)?$/.exec(text)
  const ms =
    match === null ? Number.NaN : Date.parse(`${match[1]}T${match[2] ?? '00:00'}:${match[3] ?? '00'}Z`)
  if (Number.isNaN(ms)) {
    throw wrong(`"${text}" is no time`, 'write now, +24h, 2026-12-24 or 2026-12-24T02:00Z (UTC)')
  }
  return ms
}

/** `mon-fri 02:00-05:00`, `sat,sun 22:00-04:00`, `daily 01:00-03:00`; UTC. */
export function parseWindow(text: string): FeedWindow {
  const match = /^(\S+)\s+(\d\d:\d\d)-(\d\d:\d\d)$/.exec(text.trim())
  const days = match === null ? undefined : parseDays(match[1]!)
  if (match === null || days === undefined) {
    throw wrong(
      `"${text}" is no window`,
      'write DAYS FROM-UNTIL in UTC: "mon-fri 02:00-05:00", "daily 22:00-02:00"',
    )
  }
  return { days, from: match[2]!, until: match[3]! }
}

function parseDays(text: string): WeekDay[] | undefined {
  if (text === 'daily') return [...weekDays]
  const numbers = new Set<number>()
  for (const part of text.split(',')) {
    const [first, last] = part.split('-').map((name) => weekDays.indexOf(name as WeekDay))
    if (first === undefined || first < 0 || last === -1 || part.split('-').length > 2) return undefined
    for (let day = first; ; day = (day + 1) % weekDays.length) {
      numbers.add(day)
      if (day === (last ?? first)) break
    }
  }
  return weekDays.filter((_, number) => numbers.has(number))
}

/** A name that becomes part of a path. */
export function requireName(text: string, what: string): string {
  if (isPlainName(text)) return text
  throw wrong(`"${text}" is no ${what}`, 'use up to 32 lower-case letters, digits and hyphens')
}

export function requireFloor(text: string): string {
  if (isVersionText(text)) return text
  throw wrong(`"${text}" is no version`, 'write it as 1.4.2')
}

function wrong(message: string, hint?: string): UserError {
  return new UserError(message, { exitCode: 2, ...(hint === undefined ? {} : { hint }) })
}
