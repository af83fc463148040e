import { expect, test } from 'vitest'
import { parseQuadletRuntime } from './quadlets.ts'

test('entries as they are rendered', () => {
  const entries = [{ unit: 'app.container', service: 'app.service', mode: 'rootful' }]
  expect(parseQuadletRuntime(JSON.stringify(entries))).toEqual(entries)
})

test.each([
  ['{}', 'it is not a list'],
  ['[null]', 'entry 0 has no proper "unit"'],
  ['[{"unit":"../app.container"}]', 'entry 0 has no proper "unit"'],
  ['[{"unit":"app.container","service":"app"}]', 'entry 0 (app.container) has no proper "service"'],
  [
    '[{"unit":"app.container","service":"app.service","mode":"x"}]',
    'entry 0 (app.container) has no proper "mode"',
  ],
])('%s: %s', (text, message) => {
  expect(() => parseQuadletRuntime(text)).toThrow(message)
})
