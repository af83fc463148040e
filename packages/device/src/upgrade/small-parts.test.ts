import { oneLine } from '@atomixos/config'
import { describe, expect, test } from 'vitest'
import { parseContentRange } from './content-range.ts'
import { parseDeviceId } from './device-id.ts'
import { RateWindow } from './rate-window.ts'
import { strongValidator } from './validator.ts'

test.each([
  ['0A:1b:2c:3d:4e:5f\n', '0a1b2c3d4e5f'],
  ['00:00:00:00:00:00\n', undefined],
  ['0a:1b:2c:3d:4e\n', undefined],
  ['0a:1b:2c:3d:4e:5f:60:61\n', undefined],
  ['', undefined],
])('the address %j makes the id %s', (text, id) => {
  expect(parseDeviceId(text)).toBe(id)
})

test.each([
  ['bytes 100-299/300', { startBytes: 100, endBytes: 300, totalBytes: 300 }],
  ['bytes 100-299/*', undefined],
  ['bytes 100-300/300', undefined],
  ['bytes 200-100/300', undefined],
  ['bytes */300', undefined],
  [undefined, undefined],
])('Content-Range %s', (header, range) => {
  expect(parseContentRange(header)).toEqual(range)
})

describe('only a strong validator is used', () => {
  const date = 'Tue, 24 Nov 2026 12:00:00 GMT'
  test.each([
    [{ etag: '"abc"' }, '"abc"'],
    [{ etag: 'W/"abc"', 'last-modified': 'Tue, 24 Nov 2026 10:00:00 GMT', date }, undefined],
    [{ etag: '"a\nb"' }, undefined],
    [{ 'last-modified': 'Tue, 24 Nov 2026 11:58:00 GMT', date }, 'Tue, 24 Nov 2026 11:58:00 GMT'],
    [{ 'last-modified': 'Tue, 24 Nov 2026 11:59:30 GMT', date }, undefined],
    [{ 'last-modified': 'Tue, 24 Nov 2026 10:00:00 GMT' }, undefined],
    [{ 'last-modified': 'yesterday', date }, undefined],
    [{}, undefined],
  ])('%j', (headers, validator) => {
    expect(strongValidator(headers)).toBe(validator)
  })
})

test('the rate is that of the last window only, and unknown before one has passed', () => {
  const rate = new RateWindow({ windowMs: 10_000, startMs: 500 })
  rate.add(100_000, 600)
  expect(rate.bytesPerS(10_000)).toBeUndefined()
  expect(rate.bytesPerS(10_499 + 1)).toBeLessThan(10_001)
  rate.add(50, 19_000)
  expect(rate.bytesPerS(20_000)).toBe(5)
  expect(rate.bytesPerS(60_000)).toBe(0)
})

test('text of others can neither move a cursor nor fill a screen', () => {
  expect(oneLine('a\u001b[2J\r\nb\u202ec\0')).toBe('a [2J b c')
  expect(oneLine('x'.repeat(1e6), 10)).toBe('xxxxxxxxx…')
})
