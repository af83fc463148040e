import { expect, test } from 'vitest'
import { compareSums, parseSums } from './verify-reproducible.ts'

const hash = (digit: string) => digit.repeat(64)

test('equal sums are equal, whatever their order', () => {
  const first = parseSums(`${hash('a')}  one.img\n${hash('b')}  two\n`)
  const second = parseSums(`${hash('b')}  two\n${hash('a')} *one.img\n`)
  expect(compareSums(first, second).every((row) => row.equal)).toBe(true)
})

test('another hash and a missing artifact are differences', () => {
  const first = parseSums(`${hash('a')}  one.img\n${hash('b')}  two\n`)
  const second = parseSums(`${hash('c')}  one.img\n`)
  expect(compareSums(first, second)).toEqual([
    { name: 'one.img', first: hash('a'), second: hash('c'), equal: false },
    { name: 'two', first: hash('b'), second: undefined, equal: false },
  ])
})

test('what is no checksum line is refused', () => {
  expect(() => parseSums('hello\n')).toThrow('not a line of SHA256SUMS: hello')
})
