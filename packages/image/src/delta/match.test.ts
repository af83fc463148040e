import { randomBytes } from 'node:crypto'
import { seeded } from '@atomixos/config/channel/test-channels.ts'
import { describe, expect, test } from 'vitest'
import { findMatches, type Match } from './match.ts'
import { planSteps, rangesOf } from './plan-delta.ts'

function requireTrue(matches: readonly Match[], old: Uint8Array, wanted: Uint8Array): void {
  let end = 0
  for (const { at, from, lengthBytes } of matches) {
    expect(at).toBeGreaterThanOrEqual(end)
    expect(lengthBytes).toBeGreaterThanOrEqual(32)
    expect(
      Buffer.compare(wanted.subarray(at, at + lengthBytes), old.subarray(from, from + lengthBytes)),
    ).toBe(0)
    end = at + lengthBytes
  }
  expect(end).toBeLessThanOrEqual(wanted.byteLength)
}

describe('matches', () => {
  test('are found at any byte, and as long as they are', () => {
    const old = randomBytes(200_000)
    const wanted = Buffer.concat([
      Buffer.from('new'),
      old.subarray(7, 100_000),
      Buffer.from('x'),
      old.subarray(100_000),
    ])
    const matches = findMatches(old, wanted)
    expect(matches).toEqual([
      { at: 3, from: 7, lengthBytes: 99_993 },
      { at: 99_997, from: 100_000, lengthBytes: 100_000 },
    ])
    requireTrue(matches, old, wanted)
  })

  test('go on where they were, when the same is in many places', () => {
    const old = Buffer.alloc(300_000)
    old.fill('marker', 250_000, 250_006)
    expect(findMatches(old, old)).toEqual([{ at: 0, from: 0, lengthBytes: 300_000 }])
    const zeros = findMatches(Buffer.alloc(100_000), Buffer.alloc(50_000))
    expect(zeros.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0)).toBe(50_000)
  })

  test('are true, whatever the bytes', () => {
    const random = seeded(5)
    for (let n = 0; n < 60; n++) {
      const letters = 1 + Math.floor(random() * 4)
      const text = (length: number) =>
        Buffer.from(Array.from({ length }, () => 97 + Math.floor(random() * letters)))
      const old = text(Math.floor(random() * 3000))
      const pieces = Array.from({ length: 5 }, () => {
        const from = Math.floor(random() * old.byteLength)
        return random() < 0.3 ? text(40) : old.subarray(from, from + Math.floor(random() * 900))
      })
      const wanted = Buffer.concat(pieces)
      requireTrue(findMatches(old, wanted), old, wanted)
    }
  })
})

test('steps cover everything once, in order, and refer to what is there', () => {
  const random = seeded(6)
  for (let n = 0; n < 60; n++) {
    const old = randomBytes(2_000_000)
    const pieces = Array.from({ length: 8 }, () => {
      const from = Math.floor(random() * old.byteLength)
      return random() < 0.4
        ? randomBytes(Math.floor(random() * 200_000))
        : old.subarray(from, from + Math.floor(random() * (random() < 0.5 ? 8000 : 300_000)))
    })
    const wanted = Buffer.concat(pieces)
    const [start, end] = [1000, wanted.byteLength - 1000]
    let at = start
    const steps = planSteps(findMatches(old, wanted), { start, end, oldBytes: old.byteLength })
    for (const step of steps) {
      expect(step.at).toBe(at)
      expect(step.lengthBytes).toBeGreaterThan(0)
      at += step.lengthBytes
      if (step.kind === 'copy') {
        const { from, lengthBytes } = step
        expect(Buffer.compare(wanted.subarray(step.at, at), old.subarray(from, from + lengthBytes))).toBe(0)
      } else {
        let until = 0
        for (const place of step.places) {
          expect(place.from).toBeGreaterThanOrEqual(until)
          until = place.until
        }
        expect(until).toBeLessThanOrEqual(old.byteLength)
      }
    }
    expect(at).toBe(end)
    if (n > 5) break
  }
})

test('a place in pieces of two images becomes a range in each', () => {
  const segments = [
    { source: 0, offsetBytes: 4096, startBytes: 0, sizeBytes: 100 },
    { source: 1, offsetBytes: 0, startBytes: 100, sizeBytes: 50 },
  ]
  expect(rangesOf({ from: 90, until: 120 }, segments)).toEqual([
    { source: 0, offsetBytes: 4186, lengthBytes: 10 },
    { source: 1, offsetBytes: 0, lengthBytes: 20 },
  ])
  expect(rangesOf({ from: 100, until: 101 }, segments)).toEqual([
    { source: 1, offsetBytes: 0, lengthBytes: 1 },
  ])
})
