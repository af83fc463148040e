import { expect, test } from 'vitest'
import { deviceNumber } from './inodes.ts'

// unsquashfs lists 8 bits of either number only; these are what the kernel's new_encode_dev makes.
test.each([
  [1, 3, 0x103],
  [8, 255, 0x8ff],
  [259, 1000, 0x3103e8],
  [4095, 0xfffff, 0xffffffff],
])('device %i:%i', (major, minor, encoded) => {
  expect(deviceNumber(major, minor)).toBe(encoded)
})

test('device numbers that the kernel does not have are refused', () => {
  expect(() => deviceNumber(4096, 0)).toThrow(RangeError)
  expect(() => deviceNumber(0, 1 << 20)).toThrow(RangeError)
})
