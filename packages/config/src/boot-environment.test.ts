import { expect, test } from 'vitest'
import { bootEnvironments, environmentCardBytes, fwEnvConfig } from './boot-environment.ts'

test('fw_env.config names both copies', () => {
  expect(fwEnvConfig(bootEnvironments.rock64)).toBe(
    '/dev/mtd0 0xf00000 0x2000 0x1000\n/dev/mtd0 0xf10000 0x2000 0x1000\n',
  )
  expect(fwEnvConfig(bootEnvironments.qemu)).toBe('/dev/mmcblk0 0x0 0x4000\n/dev/mmcblk0 0x80000 0x4000\n')
})

test('no copy shares an erase block of 64 KiB with the other, and each fits its device', () => {
  for (const { offsetsBytes, copyBytes } of Object.values(bootEnvironments)) {
    const [first, second] = offsetsBytes
    expect(Math.floor((first + copyBytes - 1) / 0x10000)).toBeLessThan(Math.floor(second / 0x10000))
  }
  const { offsetsBytes, copyBytes } = bootEnvironments.qemu
  expect(offsetsBytes[1] + copyBytes).toBeLessThanOrEqual(environmentCardBytes)
})
