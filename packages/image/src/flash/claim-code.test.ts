import { expect, test } from 'vitest'
import { claimCodeProblem, makeClaimCode } from './claim-code.ts'

test('a code that was made is a good one, and no other', () => {
  const made = Array.from({ length: 1000 }, makeClaimCode)
  expect(new Set(made).size).toBe(1000)
  for (const code of made) {
    expect(code).toMatch(/^(?:[2-9a-hjkmnp-tw-z]{4}-){3}[2-9a-hjkmnp-tw-z]{4}$/)
    expect(claimCodeProblem(code)).toBeUndefined()
  }
  // Each letter comes, and none by far more often than others.
  const counts = Map.groupBy([...made.join('').replaceAll('-', '')], (letter) => letter)
  expect(counts.size).toBe(29)
  for (const [letter, { length }] of counts) expect(length, letter).toBeLessThan(2 * (16_000 / 29))
})

test.each([
  ['mango-42-river', undefined],
  ['short-1', 'it has 8 characters at least'],
  ['', 'it has 8 characters at least'],
  ['x'.repeat(65), 'it has 64 characters at most'],
  ['/dev/sdb1', 'it is made of letters, digits, ".", "_" and "-"'],
  ['with a space', 'it is made of letters, digits, ".", "_" and "-"'],
  ['schlüssel', 'it is made of letters, digits, ".", "_" and "-"'],
  ['two\nlines', 'it is made of letters, digits, ".", "_" and "-"'],
])('%j as a claim code: %s', (code, problem) => {
  expect(claimCodeProblem(code)).toBe(problem)
})
