import { describe, expect, test } from 'vitest'
import type { Channel, FeedWindow } from './document.ts'
import { chooseRelease, decideRollout, rolloutPercent, rolloutPlace } from './rollout.ts'
import { at, channelOf, dayMs, hourMs, nowMs, release } from './test-channels.ts'
import { isOpen, nextOpening } from './windows.ts'

// The first of December 2026, 12:00, is a Tuesday.

/** Stands at 83.79 % for 1.4.0. */
const id = '0a1b2c3d4e5f'
const place = rolloutPlace(id, '1.4.0') * 100

function decide(channel: Channel, device: { id?: string | undefined; labels?: string[] } = {}, ms = nowMs) {
  return decideRollout({
    channel,
    release: channel.release,
    device: { id: 'id' in device ? device.id : id, labels: device.labels ?? [] },
    nowMs: ms,
  })
}

describe('the place of a device', () => {
  test('is the same today and in ten years', () => {
    expect(rolloutPlace('0a1b2c3d4e5f', '1.4.0')).toBe(0.8379393607779946)
    expect(rolloutPlace('0a1b2c3d4e5f', '1.4.1')).toBe(0.21481624934652999)
  })

  test('is another one in each version', () => {
    const places = Array.from({ length: 100 }, (_, patch) => rolloutPlace(id, `1.4.${patch}`))
    expect(Math.min(...places)).toBeLessThan(0.1)
    expect(Math.max(...places)).toBeGreaterThan(0.9)
  })
})

describe('steps', () => {
  const steps = [
    { atMs: nowMs, percent: 1 },
    { atMs: nowMs + dayMs, percent: Math.floor(place) },
    { atMs: nowMs + 2 * dayMs, percent: Math.ceil(place) },
  ]
  const channel = channelOf({ steps })

  test('count from their second on', () => {
    expect(rolloutPercent(channel, nowMs - 1)).toBe(0)
    expect(rolloutPercent(channel, nowMs)).toBe(1)
    expect(rolloutPercent(channel, nowMs + 9 * dayMs)).toBe(Math.ceil(place))
  })

  test('that do not reach the device yet tell when they will', () => {
    expect(decide(channel)).toEqual({
      action: 'wait',
      reason:
        "the roll-out of version 1.4.0 is at 1 %, this device's place is 83.79 %, its turn is at 2026-12-03T12:00:00Z",
      notBeforeMs: nowMs + 2 * dayMs,
    })
    expect(decide(channel, {}, nowMs + dayMs)).toMatchObject({ action: 'wait' })
    expect(decide(channel, {}, nowMs + 2 * dayMs)).toEqual({
      action: 'install',
      reason: "the roll-out of version 1.4.0 is at 84 %, this device's place is 83.79 %",
    })
  })

  test('that never reach it say so', () => {
    expect(decide(channelOf({ steps: steps.slice(0, 2) }))).toMatchObject({
      reason:
        "the roll-out of version 1.4.0 is at 1 %, this device's place is 83.79 %, and no step reaches it",
      notBeforeMs: undefined,
    })
    expect(decide(channelOf({ steps: [] }))).toMatchObject({ action: 'wait', notBeforeMs: undefined })
  })

  test('reach a device without an identity at 100 % only', () => {
    expect(decide(channelOf({ steps: [{ atMs: 0, percent: 99.9 }] }), { id: undefined })).toMatchObject({
      action: 'wait',
      reason:
        'the roll-out of version 1.4.0 is at 99.9 %, this device has no identity and comes last, and no step reaches it',
    })
    expect(decide(channelOf(), { id: undefined })).toMatchObject({ action: 'install' })
  })
})

describe('canaries', () => {
  const none = channelOf({
    canaries: ['lab', 'desk'],
    steps: [{ atMs: nowMs, percent: 0 }],
    windows: [{ days: ['sun'], from: '02:00', until: '04:00' }],
  })

  test('take a release at once, at 0 % and outside of windows', () => {
    expect(decide(none, { labels: ['desk', 'x'] })).toEqual({
      action: 'install',
      reason: 'version 1.4.0 is taken at once: the device is a canary (desk)',
    })
    expect(decide(none, { labels: ['x'] })).toMatchObject({ action: 'wait' })
    expect(decide({ ...none, canaries: [] }, { labels: ['lab'] })).toMatchObject({ action: 'wait' })
  })

  test('do not while it is halted', () => {
    const halt = { reason: 'no LAN after it', sinceMs: nowMs - hourMs }
    for (const labels of [['lab'], []]) {
      expect(decide({ ...none, halt, steps: [{ atMs: 0, percent: 100 }] }, { labels })).toEqual({
        action: 'wait',
        reason: 'the channel is halted since 2026-12-01T11:00:00Z: no LAN after it',
        notBeforeMs: undefined,
      })
    }
  })
})

describe('windows', () => {
  const night: FeedWindow = { days: ['tue', 'sun'], from: '23:00', until: '01:30' }
  const hour = (day: number, clock: string) => Date.parse(`2026-12-0${day}T${clock}:00Z`)

  test.each<[string, number, boolean]>([
    ['before', hour(1, '22:59'), false],
    ['its first minute', hour(1, '23:00'), true],
    ['past midnight', hour(2, '01:29'), true],
    ['its end', hour(2, '01:30'), false],
    ['another day', hour(2, '23:30'), false],
    ['from one week into the next', hour(7, '00:30'), true],
  ])('%s', (_, ms, open) => {
    expect(isOpen([night], ms)).toBe(open)
  })

  test('none is always', () => {
    expect(isOpen([], nowMs)).toBe(true)
    expect(nextOpening([], nowMs)).toBe(nowMs)
  })

  test('the next opening is the first minute at which one is open, at every minute of a week', () => {
    const windows: FeedWindow[] = [night, { days: ['fri'], from: '02:00', until: '04:00' }]
    for (let minute = 0; minute < 7 * 24 * 60; minute += 61) {
      const ms = nowMs + minute * 60_000
      let expected = ms
      while (!isOpen(windows, expected)) expected += 60_000
      expect(nextOpening(windows, ms)).toBe(expected)
    }
  })

  test('a closed one lets the bundle be fetched, and tells when it opens', () => {
    expect(decide(channelOf({ windows: [night] }))).toEqual({
      action: 'fetch',
      reason:
        "the roll-out of version 1.4.0 is at 100 %, this device's place is 83.79 %; the next window opens at 2026-12-01T23:00:00Z",
      notBeforeMs: hour(1, '23:00'),
    })
    expect(decide(channelOf({ windows: [night] }), {}, hour(1, '23:00'))).toMatchObject({ action: 'install' })
  })

  test('a step that comes outside of one means the next one', () => {
    const channel = channelOf({ windows: [night], steps: [{ atMs: hour(2, '12:00'), percent: 100 }] })
    expect(decide(channel)).toMatchObject({ action: 'wait', notBeforeMs: hour(6, '23:00') })
  })
})

describe('a floor', () => {
  const channel = channelOf({
    release: release('3.0.0', { floor: '2.0.0' }),
    stones: [release('1.5.0'), release('2.1.0', { floor: '1.5.0' }), release('2.0.0', { floor: '1.5.0' })],
  })
  const chosen = (running: string) => {
    const found = chooseRelease(channel, running)
    return 'release' in found ? found.release.version : found.reason
  }

  test.each([
    ['1.0.0', '1.5.0'],
    ['1.5.0', '2.1.0'],
    ['1.9.0', '2.1.0'],
    ['2.0.0', '3.0.0'],
    ['3.0.0', '3.0.0'],
    ['unknown', '3.0.0'],
  ])('leads from %s to %s', (running, next) => {
    expect(chosen(running)).toBe(next)
  })

  test('without a release on the way is told', () => {
    expect(chooseRelease({ ...channel, stones: [] }, '1.0.0')).toEqual({
      reason:
        'version 3.0.0 wants at least 2.0.0 to come from, this device runs 1.0.0, and the channel has no release between them',
    })
  })

  test('what is on the way needs no turn, and obeys halt and windows', () => {
    const none = { ...channel, steps: [{ atMs: nowMs, percent: 0 }] }
    const through = (changes: Partial<Channel>) =>
      decideRollout({
        channel: { ...none, ...changes },
        release: none.stones[0]!,
        device: { id, labels: [] },
        nowMs,
      })
    expect(through({})).toEqual({
      action: 'install',
      reason: 'version 1.5.0 is on the way to 3.0.0, which wants at least 2.0.0 to come from',
    })
    expect(through({ halt: { reason: 'x', sinceMs: nowMs } })).toMatchObject({ action: 'wait' })
    const windows: FeedWindow[] = [{ days: ['sun'], from: '02:00', until: '04:00' }]
    expect(through({ windows })).toMatchObject({ action: 'fetch' })
  })
})

test('times are whole seconds of UTC', () => {
  expect(at(nowMs + 999)).toBe('2026-12-01T12:00:00Z')
})
