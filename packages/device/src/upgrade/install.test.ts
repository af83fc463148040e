import { expect, test } from 'vitest'
import { parseLastError, raucReason } from './install.ts'

test("RAUC's last error as busctl shows it", () => {
  expect(parseLastError('{"type":"s","data":"Failed to mount"}\n')).toBe('Failed to mount')
  for (const text of ['', 'Failed to get property', '{"type":"s","data":""}', 'null']) {
    expect(parseLastError(text)).toBeUndefined()
  }
})

test('the end of what the command line said, without what it tells of itself', () => {
  expect(
    raucReason('rauc-Message: 12:41: Using x\nsignature verification failed: certificate revoked\n\n'),
  ).toBe('signature verification failed: certificate revoked')
  expect(raucReason('rauc-Message: 12:41: Using x\n')).toBe('RAUC gave no reason')
})
