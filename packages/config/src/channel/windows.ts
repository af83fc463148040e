import { type FeedWindow, weekDays } from './document.ts'

const minutesOfDay = 24 * 60
const minutesOfWeek = 7 * minutesOfDay
/** The first of January 1970 was a Thursday. */
const epochMinute = 3 * minutesOfDay

/** Whether one of them is open; none at all: always. */
export function isOpen(windows: readonly FeedWindow[], nowMs: number): boolean {
  const now = minuteOfWeek(nowMs)
  return (
    windows.length === 0 ||
    windows.some((window) => beginnings(window).some((begin) => after(begin, now) < windowMinutes(window)))
  )
}

/** The first time from `nowMs` on at which one of them is open. */
export function nextOpening(windows: readonly FeedWindow[], nowMs: number): number {
  if (isOpen(windows, nowMs)) return nowMs
  const now = minuteOfWeek(nowMs)
  const minutes = Math.min(...windows.flatMap(beginnings).map((begin) => after(now, begin)))
  return (Math.floor(nowMs / 60_000) + minutes) * 60_000
}

export function windowMinutes({ from, until }: Pick<FeedWindow, 'from' | 'until'>): number {
  const minutes = minuteOfDay(until) - minuteOfDay(from)
  return minutes > 0 ? minutes : minutes + minutesOfDay
}

/** Minutes of the week, which starts on Monday. */
function beginnings({ days, from }: FeedWindow): number[] {
  return days.map((day) => weekDays.indexOf(day) * minutesOfDay + minuteOfDay(from))
}

/** How long after `a` in the week `b` is. */
function after(a: number, b: number): number {
  return (b - a + minutesOfWeek) % minutesOfWeek
}

function minuteOfWeek(ms: number): number {
  const minute = (Math.floor(ms / 60_000) + epochMinute) % minutesOfWeek
  return (minute + minutesOfWeek) % minutesOfWeek
}

function minuteOfDay(clock: string): number {
  const [hours, minutes] = clock.split(':').map(Number) as [number, number]
  return hours * 60 + minutes
}
