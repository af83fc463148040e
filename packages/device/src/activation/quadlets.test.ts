import { expect, test } from 'vitest'
import { errorIn } from './container-states.ts'
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

test('why podman could not start a container is the last of its errors, as one short line', () => {
  expect(errorIn('')).toBe(undefined)
  expect(errorIn('Trying to pull registry.test/app:1...\n')).toBe(undefined)
  const text = 'Error: first\nTrying again\nError: pinging\u001b container registry: refused\nmore\n'
  expect(errorIn(text)).toBe('pinging container registry: refused')
  expect(errorIn(`Error: ${'x'.repeat(5000)}`)).toHaveLength(600)
})
