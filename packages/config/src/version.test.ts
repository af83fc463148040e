import { expect, test } from 'vitest'
import { compareVersionTexts, isVersionText } from './version.ts'

test('versions in the order of the specification', () => {
  const ordered = [
    ...['0.0.0', '1.0.0-alpha', '1.0.0-alpha.1', '1.0.0-alpha.beta', '1.0.0-beta', '1.0.0-beta.2'],
    ...['1.0.0-beta.11', '1.0.0-rc.1', '1.0.0', '1.0.1', '1.2.0', '1.10.0', '2.0.0-0', '2.0.0'],
  ]
  for (const [index, version] of ordered.entries()) {
    for (const [other, text] of ordered.entries()) {
      expect(Math.sign(compareVersionTexts(version, text)), `${version} and ${text}`).toBe(
        Math.sign(index - other),
      )
    }
  }
  expect(compareVersionTexts('1.0.0+a', '1.0.0+b')).toBe(0)
})

test.each([
  '',
  '1',
  '1.2',
  'v1.2.3',
  '01.2.3',
  '1.2.3-',
  '1.2.3-01',
  '1.2.3+',
  ' 1.2.3',
  `1.2.3-${'a'.repeat(130)}`,
])('%j is no version', (text) => {
  expect(isVersionText(text)).toBe(false)
  expect(() => compareVersionTexts(text, '1.0.0')).toThrow('is no version')
})
