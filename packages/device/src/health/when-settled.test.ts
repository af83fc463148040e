import { expect, test } from 'vitest'
import { lookWhenSettled } from './when-settled.ts'

/** A configuration is applied in these spans, in seconds; a look takes one. Gives when looks began, and the one that counted. */
async function looks(...spans: readonly (readonly [number, number])[]) {
  let nowS = 0
  const begun: number[] = []
  const seen = await lookWhenSettled({
    look: async () => {
      begun.push(nowS)
      nowS += 1
      return begun.at(-1)
    },
    changing: async () => spans.some(([from, to]) => nowS >= from && nowS < to),
    sleep: async (ms) => {
      nowS += ms / 1000
    },
    now: () => nowS * 1000,
  })
  return { begun, seen }
}

test('nothing is applied: one look', async () => {
  expect(await looks()).toEqual({ begun: [0], seen: 0 })
})

test('while one is applied nobody looks', async () => {
  expect(await looks([0, 30])).toEqual({ begun: [30], seen: 30 })
})

test('a look that a change came into is taken again', async () => {
  expect(await looks([0.5, 20])).toEqual({ begun: [0, 20], seen: 20 })
})

test('one that waits to be confirmed is not waited for without end', async () => {
  expect(await looks([0, 86_400])).toEqual({ begun: [600], seen: 600 })
})
