/** Ten thousand devices with the code that decides on a real one, and with the times of its timer. */
import { createHash } from 'node:crypto'
import { type Channel, pollTimer } from '@atomixos/config'
import { channelOf, dayMs, hourMs, nowMs, release, seeded } from '@atomixos/config/channel/test-channels.ts'
import { describe, expect, test } from 'vitest'
import { decideByChannel } from './decide-by-channel.ts'

const devicesCount = 10_000
const canariesCount = 25
const days = 4

interface Device {
  readonly id: string
  readonly labels: readonly string[]
  version: string
}

/** MAC addresses as they come from one maker: in a row. */
function fleet(): Device[] {
  return Array.from({ length: devicesCount }, (_, index) => ({
    id: `0a1b2c${index.toString(16).padStart(6, '0')}`,
    labels: index % (devicesCount / canariesCount) === 0 ? ['canary'] : [],
    version: '1.0.0',
  }))
}

const start = nowMs
const waves = channelOf({
  canaries: ['canary'],
  expiresMs: start + 90 * dayMs,
  steps: [
    { atMs: start + dayMs, percent: 1 },
    { atMs: start + 2 * dayMs, percent: 10 },
    { atMs: start + 3 * dayMs, percent: 50 },
  ],
})

/** Each device looks once an hour; gives how many percent of those that are no canaries have the version then. */
function run(devices: Device[], channelAt: (ms: number) => Channel): Map<number, number> {
  const shares = new Map<number, number>()
  const others = devices.filter(({ labels }) => labels.length === 0)
  for (let ms = start; ms < start + days * dayMs; ms += hourMs) {
    const channel = channelAt(ms)
    for (const device of devices) pollOnce(device, channel, ms)
    const done = others.filter(({ version }) => version === channel.release.version).length
    shares.set(ms, (done * 100) / others.length)
  }
  return shares
}

function pollOnce(device: Device, channel: Channel, ms: number): void {
  if (device.version === channel.release.version) return
  const { verdict, answer } = decideByChannel({
    ...{ channel, device, nowMs: ms, serverUrl: 'https://updates.example' },
    ...{ runningVersion: device.version, runningSlot: 'confirmed', failedVersions: [] },
  })
  if (verdict.action === 'install') device.version = answer!.version
}

describe('waves of 1, 10 and 50 %', () => {
  test('hold within one percentage point, from their hour on and until the next', {
    timeout: 120_000,
  }, () => {
    const shares = run(fleet(), () => waves)
    for (const [ms, share] of shares) {
      const wanted = [0, 1, 10, 50][Math.floor((ms - start) / dayMs)]!
      expect(Math.abs(share - wanted), `${share} % instead of ${wanted} %`).toBeLessThan(1)
      if (wanted === 0) expect(share).toBe(0)
    }
  })

  test('canaries have it at once, at 0 %, and all of them', () => {
    const devices = fleet()
    for (const device of devices) pollOnce(device, waves, start)
    const taken = devices.filter(({ version }) => version === '1.4.0')
    expect(taken).toHaveLength(canariesCount)
    expect(taken.every(({ labels }) => labels.includes('canary'))).toBe(true)
  })

  test('a halt counts from the next look of each device on, for canaries too, and so does its end', () => {
    const halt = { reason: 'no LAN', sinceMs: start + 2 * dayMs + 6 * hourMs }
    const resumedMs = halt.sinceMs + 30 * hourMs
    const devices = fleet()
    const late: Device = { id: '0a1b2cffffff', labels: ['canary'], version: '1.0.0' }
    let before: number | undefined
    const shares = run(devices, (ms) => {
      const halted = ms >= halt.sinceMs && ms < resumedMs
      if (halted) {
        before ??= devices.filter(({ version }) => version !== '1.0.0').length
        pollOnce(late, { ...waves, halt }, ms)
        expect(devices.filter(({ version }) => version !== '1.0.0')).toHaveLength(before)
      }
      return halted ? { ...waves, halt } : waves
    })
    expect(before).toBeGreaterThan(devicesCount / 20)
    expect(late.version).toBe('1.0.0')
    // The third wave was due in between: it comes when the halt ends.
    expect(Math.abs(shares.get(resumedMs - hourMs)! - 10)).toBeLessThan(1)
    expect(Math.abs(shares.get(resumedMs)! - 50)).toBeLessThan(1)
  })

  test('the next version begins with others', () => {
    const first = (version: string) => {
      const devices = fleet()
      const steps = [{ atMs: start, percent: 1 }]
      for (const device of devices) pollOnce(device, channelOf({ steps, release: release(version) }), start)
      return new Set(devices.filter((device) => device.version === version).map(({ id }) => id))
    }
    const [one, other] = [first('1.4.0'), first('1.4.1')]
    expect(one.size).toBeGreaterThan(50)
    // Of a hundred of ten thousand, one is expected in both.
    expect([...one].filter((id) => other.has(id)).length).toBeLessThan(8)
  })
})

describe('looks after the power came back everywhere in the same second', () => {
  const { afterBootS, intervalS, randomDelayS } = pollTimer
  const random = seeded(20261201)
  /** How many looks in each minute of twelve hours. */
  const minutes = new Array<number>(12 * 60).fill(0)
  for (let device = 0; device < devicesCount; device++) {
    let atS = afterBootS + random() * randomDelayS
    while (atS < minutes.length * 60) {
      minutes[Math.floor(atS / 60)]! += 1
      // A look takes seconds; the timer counts from its end.
      atS += 5 + intervalS + random() * randomDelayS
    }
  }
  const spreadMinutes = randomDelayS / 60

  test('are as many in each minute of the first round, which nobody precedes', () => {
    const first = minutes.slice(afterBootS / 60, afterBootS / 60 + spreadMinutes)
    const mean = devicesCount / spreadMinutes
    expect(first.reduce((sum, count) => sum + count, 0)).toBe(devicesCount)
    for (const count of first) expect(Math.abs(count - mean) / mean).toBeLessThan(0.15)
    expect(Math.max(...minutes.slice(0, afterBootS / 60))).toBe(0)
  })

  test('never come closer together than in it, and spread with each round', () => {
    const peakOfHour = (hour: number) => Math.max(...minutes.slice(hour * 65, (hour + 1) * 65))
    const peaks = [0, 3, 6, 9].map(peakOfHour)
    expect(peaks[0]).toBe(Math.max(...minutes))
    for (const [index, peak] of peaks.slice(1).entries()) expect(peak).toBeLessThan(peaks[index]!)
    // Evenly spread it would be 154 in a minute.
    expect(peaks.at(-1)).toBeLessThan(450)
  })
})

test('places are spread evenly, for any numbering of devices', () => {
  // A tenth of the places for a tenth of the devices, within five standard deviations.
  for (const id of [
    (n: number) => `0a1b2c${n.toString(16).padStart(6, '0')}`,
    (n: number) => createHash('sha256').update(`${n}`).digest('hex').slice(0, 12),
  ]) {
    const buckets = new Array<number>(10).fill(0)
    for (let n = 0; n < devicesCount; n++) {
      const device = { id: id(n), labels: [], version: '1.0.0' }
      for (let percent = 10; percent <= 100; percent += 10) {
        pollOnce(device, channelOf({ steps: [{ atMs: start, percent }] }), start)
        if (device.version === '1.0.0') continue
        buckets[percent / 10 - 1]! += 1
        break
      }
    }
    for (const count of buckets) expect(Math.abs(count - 1000)).toBeLessThan(150)
  }
})
