import { isOpen } from '@atomixos/config'
import { describe, expect, test } from 'vitest'
import {
  parseDuration,
  parseSteps,
  parseTime,
  parseWindow,
  requireFloor,
  requireName,
} from './parse-words.ts'

// A Tuesday.
const nowMs = Date.UTC(2026, 11, 1, 12, 0, 0, 500)
const hourMs = 3_600_000

test.each([
  ['30m', 0.5 * hourMs],
  ['36h', 36 * hourMs],
  ['90d', 90 * 24 * hourMs],
])('the duration %s', (text, ms) => {
  expect(parseDuration(text)).toBe(ms)
})

test.each([
  ['now', Date.UTC(2026, 11, 1, 12)],
  ['+24h', Date.UTC(2026, 11, 2, 12)],
  ['2026-12-24', Date.UTC(2026, 11, 24)],
  ['2026-12-24T02:00Z', Date.UTC(2026, 11, 24, 2)],
  ['2026-12-24T02:00:30Z', Date.UTC(2026, 11, 24, 2, 0, 30)],
])('the time %s', (text, ms) => {
  expect(parseTime(text, nowMs)).toBe(ms)
})

test('steps, with spaces, commas, and without what goes without saying', () => {
  const now = Date.UTC(2026, 11, 1, 12)
  const wanted = [
    { percent: 0.5, atMs: now },
    { percent: 10, atMs: now + 24 * hourMs },
    { percent: 100, atMs: now + 72 * hourMs },
  ]
  expect(parseSteps(['0.5%@now 10%@+24h,100%@+72h'], nowMs)).toEqual(wanted)
  expect(parseSteps(['0.5', '10@+24h', '100%@+3d'], nowMs)).toEqual(wanted)
  expect(parseSteps([], nowMs)).toEqual([])
})

test.each([
  ['101%', '"101%" is no step of a roll-out'],
  ['-1', '"-1" is no step of a roll-out'],
  ['1%@tomorrow', '"tomorrow" is no time'],
  ['1%@2026-13-01', '"2026-13-01" is no time'],
  ['1%@2026-12-24T02:00', '"2026-12-24T02:00" is no time'],
  ['1%@+1w', '"1w" is no duration'],
  ['1%@+24h 10%@+12h', 'step 2 of the roll-out is not later than the one before it'],
  ['1%@now 10%@now', 'step 2 of the roll-out is not later than the one before it'],
  ['10%@now 1%@+1h', 'step 2 of the roll-out is smaller than the one before it'],
])('%s is refused', (text, message) => {
  expect(() => parseSteps([text], nowMs)).toThrow(message)
})

describe('windows', () => {
  test.each([
    ['mon-fri 02:00-05:00', ['mon', 'tue', 'wed', 'thu', 'fri']],
    ['sat,sun 22:00-04:00', ['sat', 'sun']],
    ['fri-mon 22:00-04:00', ['mon', 'fri', 'sat', 'sun']],
    ['tue 01:00-03:00', ['tue']],
    ['daily 01:00-03:00', ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun']],
    ['mon,wed-thu,mon 01:00-03:00', ['mon', 'wed', 'thu']],
  ])('%s', (text, days) => {
    expect(parseWindow(text).days).toEqual(days)
  })

  test('are of UTC', () => {
    expect(isOpen([parseWindow('tue 11:00-13:00')], nowMs)).toBe(true)
    expect(isOpen([parseWindow('wed 11:00-13:00')], nowMs)).toBe(false)
  })

  test.each([
    '',
    'daily',
    '02:00-05:00',
    'monday 02:00-05:00',
    'mon- 02:00-05:00',
    'mon 2-5',
    'mon-tue-wed 02:00-05:00',
  ])('%j is none', (text) => {
    expect(() => parseWindow(text)).toThrow(`"${text}" is no window`)
  })
})

test('names and floors', () => {
  expect(requireName('stable', 'channel')).toBe('stable')
  expect(() => requireName('../x', 'channel')).toThrow('"../x" is no channel')
  expect(requireFloor('1.4.0')).toBe('1.4.0')
  expect(() => requireFloor('v1')).toThrow('"v1" is no version')
})
