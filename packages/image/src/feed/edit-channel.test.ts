import { type Channel, parseChannel, renderChannel } from '@atomixos/config'
import { channelOf, dayMs, nowMs, release } from '@atomixos/config/channel/test-channels.ts'
import { describe, expect, test } from 'vitest'
import {
  changeRollout,
  type NewRelease,
  pauseChannel,
  publishRelease,
  renewChannel,
  resumeChannel,
  rolloutWarning,
} from './edit-channel.ts'

const when = { nowMs, expiresMs: nowMs + 90 * dayMs }
const before = channelOf()

function publish(channel: Channel | undefined, version: string, more: Partial<NewRelease> = {}): Channel {
  return publishRelease(channel, {
    ...{ ...when, board: 'rock64', channel: 'stable', version, bundle: release(version).bundle, deltas: [] },
    ...{ steps: [{ atMs: nowMs, percent: 100 }], floor: undefined, windows: undefined, canaries: undefined },
    resume: false,
    ...more,
  })
}

function message(work: () => unknown): string {
  try {
    work()
    return 'nothing'
  } catch (error) {
    return (error as Error).message
  }
}

test('the first release is number 1, and each change is the next number and expires later', () => {
  const first = publish(undefined, '1.0.0')
  const steps = [{ atMs: nowMs, percent: 1 }]
  const changes = [
    (channel: Channel) => publish(channel, '1.1.0'),
    (channel: Channel) => pauseChannel(channel, { ...when, reason: 'x' }),
    (channel: Channel) => resumeChannel(channel, when),
    (channel: Channel) => changeRollout(channel, { ...when, steps, windows: [], canaries: ['lab'] }),
    (channel: Channel) => renewChannel(channel, { nowMs: nowMs + dayMs, expiresMs: nowMs + 91 * dayMs }),
  ]
  let channel = first
  expect(channel.sequence).toBe(1)
  for (const [index, change] of changes.entries()) {
    channel = change(channel)
    expect(channel.sequence).toBe(index + 2)
    expect(parseChannel(renderChannel(channel))).toEqual({ channel })
  }
  expect(channel).toMatchObject({ expiresMs: nowMs + 91 * dayMs, steps, canaries: ['lab'] })
})

test('only what is newer is published', () => {
  expect(message(() => publish(before, '1.3.9'))).toBe(
    'version 1.3.9 is older than 1.4.0, which the channel has',
  )
  expect(message(() => publish(before, '1.4.0-rc.1'))).toContain('is older than 1.4.0')
  expect(message(() => publish(before, '1.4.0'))).toBe('version 1.4.0 is published already')
  expect(message(() => publish(before, '1.4.0+2'))).toBe('version 1.4.0+2 is published already')
  expect(publish(before, '1.4.1').release.version).toBe('1.4.1')
})

test('windows, canaries and floor stay unless others are given', () => {
  const windows = [{ days: ['mon'], from: '01:00', until: '05:00' }] as const
  const channel = { ...before, windows, canaries: ['lab'], release: release('1.4.0', { floor: '1.0.0' }) }
  expect(publish(channel, '1.5.0')).toMatchObject({
    ...{ windows, canaries: ['lab'] },
    release: { floor: '1.0.0' },
  })
  expect(publish(channel, '1.5.0', { windows: [], canaries: [], floor: '1.1.0' })).toMatchObject({
    ...{ windows: [], canaries: [] },
    release: { floor: '1.1.0' },
  })
})

describe('a floor', () => {
  const versions = ({ stones }: Channel) => stones.map(({ version }) => version)

  test('that is new keeps the release until now, and those that lead to it', () => {
    const one = publish(before, '2.0.0', { floor: '1.4.0' })
    expect(versions(one)).toEqual(['1.4.0'])
    const two = publish(one, '2.1.0')
    expect(versions(two)).toEqual(['1.4.0'])
    const three = publish(two, '3.0.0', { floor: '2.0.0' })
    expect(versions(three)).toEqual(['1.4.0', '2.1.0'])
    expect(three.stones[1]!.floor).toBe('1.4.0')
  })

  test('that nothing reaches keeps nothing', () => {
    expect(versions(publish(before, '2.0.0', { floor: '1.5.0' }))).toEqual([])
  })

  test('is older than the release', () => {
    expect(message(() => publish(before, '2.0.0', { floor: '2.0.0' }))).toBe(
      'the floor 2.0.0 is not older than version 2.0.0',
    )
  })
})

describe('a halt', () => {
  const halted = pauseChannel(before, { ...when, reason: 'no LAN' })

  test('says why and since when, and can be said anew', () => {
    expect(halted.halt).toEqual({ reason: 'no LAN', sinceMs: nowMs })
    expect(pauseChannel(halted, { ...when, reason: 'no WAN either' }).halt?.reason).toBe('no WAN either')
    for (const reason of ['', '  ', 'a\nb', 'x'.repeat(201)]) {
      expect(message(() => pauseChannel(before, { ...when, reason }))).toContain('one line of 1 to 200')
    }
  })

  test('does not end by accident', () => {
    expect(message(() => publish(halted, '1.5.0'))).toBe('the channel is halted: no LAN')
    expect(publish(halted, '1.5.0', { resume: true }).halt).toBeUndefined()
    expect(renewChannel(halted, when).halt).toEqual(halted.halt)
    expect(
      changeRollout(halted, { ...when, steps: [], windows: undefined, canaries: undefined }).halt,
    ).toEqual(halted.halt)
    expect(resumeChannel(halted, when).halt).toBeUndefined()
    expect(message(() => resumeChannel(before, when))).toBe('the channel is not halted')
  })
})

test('steps that go back are told', () => {
  const after = { ...before, steps: [{ atMs: nowMs - 1, percent: 10 }] }
  expect(rolloutWarning(before, after, nowMs)).toBe(
    'the roll-out goes from 100 % back to 10 %: devices that have taken the release keep it',
  )
  expect(rolloutWarning(after, before, nowMs)).toBeUndefined()
})
