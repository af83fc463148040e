import { buildFirmware, type FirmwareBuild } from '@atomixos/image/build/build-firmware.ts'
import { openInputs } from '@atomixos/image/inputs.ts'
import { silentReporter } from '@atomixos/image/reporter.ts'
import { StepRunner } from '@atomixos/image/step/step.ts'
import { testWorkspace } from '@atomixos/image/tools/test-inputs.ts'
import { firmwareProblems } from '@atomixos/image/uboot/firmware-problems.ts'
import { readUbootBuild, type UbootBuild } from '@atomixos/image/uboot/uboot-build.ts'
import { beforeAll, describe, expect, test } from 'vitest'
import { boards } from '../index.ts'
import { firmwareSources, ubootPatches } from './index.ts'

/** The firmware that a build makes, from its cache when it has been built. */
let firmware: Map<string, FirmwareBuild>
let rock64: UbootBuild
let qemu: UbootBuild

beforeAll(async () => {
  const workspace = testWorkspace()
  const signal = new AbortController().signal
  const inputs = await openInputs({ workspace, reporter: silentReporter, signal })
  const steps = new StepRunner({ cacheDir: workspace.cacheDir, reporter: silentReporter, signal })
  const sources = Object.values(firmwareSources)
  firmware = await buildFirmware({ sources, patches: ubootPatches }, { inputs, steps })
  rock64 = await readUbootBuild(firmware.get('rock64')!.result.dir, firmwareSources.rock64)
  qemu = await readUbootBuild(firmware.get('qemu')!.result.dir, firmwareSources.qemu)
}, 900_000)

test('every firmware that a board names is declared, with the same defconfig', () => {
  for (const { name, defconfig } of Object.values(boards).flatMap((board) => board.firmware)) {
    expect(firmwareSources[name as keyof typeof firmwareSources].defconfig).toBe(defconfig)
  }
})

test('both may be flashed', () => {
  expect(firmwareProblems(firmwareSources.rock64, rock64)).toEqual([])
  expect(firmwareProblems(firmwareSources.qemu, qemu)).toEqual([])
})

test('the selector is the same text on both', () => {
  for (const [name, value] of qemu.environment) {
    if (name.startsWith('ab_') && name !== 'ab_if') expect(rock64.environment.get(name), name).toBe(value)
  }
})

test('the boards differ in where things are, and in nothing else', () => {
  expect(rock64.environment.get('ab_if')).toBe('mmc')
  expect(rock64.environment.get('console')).toBe('ttyS2,1500000n8')
  expect(rock64.environment.get('board_dtb')).toBe('rk3328-rock64.dtb')
  expect(boards.rock64!.deviceTrees.map((path) => path.split('/').at(-1))).toContain('rk3328-rock64.dtb')
  expect(qemu.environment.get('ab_if')).toBe('virtio')
  expect(qemu.environment.get('console')).toBe('ttyAMA0')
  expect(qemu.environment.has('board_dtb')).toBe(false)
})

describe('what must not be flashed', () => {
  const withImage = (name: string, change: (image: Buffer) => Buffer): UbootBuild => {
    const image = change(Buffer.from(rock64.images.get(name)!))
    return { ...rock64, images: new Map([...rock64.images, [name, image]]) }
  }
  const problems = (build: UbootBuild) => firmwareProblems(firmwareSources.rock64, build).join('\n')

  test('one bit of U-Boot is wrong', () => {
    const at = rock64.images.get('u-boot.itb')!.indexOf(rock64.environmentBlock)
    const flipped = withImage('u-boot.itb', (image) => {
      image[at - 1000]! ^= 1
      return image
    })
    expect(problems(flipped)).toBe('firmware rock64: u-boot.itb: "u-boot" has no SHA-256, or a wrong one')
  })
  test('another selector was compiled in than was declared', () => {
    const other = Buffer.from(rock64.environmentBlock)
    other[10]! ^= 1
    expect(problems({ ...rock64, environmentBlock: other })).toContain(
      'its program does not hold the built-in environment',
    )
  })
  test('it takes one more variable from storage', () => {
    const bytes = qemu.images.get('u-boot.bin')!
    const at = bytes.indexOf('WATCHDOG:bw\0')
    const image = Buffer.from(bytes)
    image.write(',x:sw\0', at + 'WATCHDOG:bw'.length, 'latin1')
    const build = { ...qemu, images: new Map([['u-boot.bin', image]]) }
    expect(firmwareProblems(firmwareSources.qemu, build)).toEqual([
      'firmware qemu: its program does not take just BOOT_ORDER, BOOT_A_LEFT, BOOT_B_LEFT, SLOT_A_STATE, SLOT_B_STATE, _RUT_OH_, START_UMS, WATCHDOG from storage',
    ])
  })
  test('u-boot.itb is cut off, or would reach into the first partition', () => {
    expect(problems(withImage('u-boot.itb', (image) => image.subarray(0, image.length - 4096)))).toContain(
      'u-boot.itb can not be read: the data of',
    )
    const long = withImage('u-boot.itb', (image) => Buffer.concat([image, Buffer.alloc(8 * 1024 * 1024)]))
    expect(problems(long)).toMatch(/u-boot\.itb is \d+ bytes long, there is room for 8388608/)
  })
  test('idbloader.img is not for the boot ROM', () => {
    expect(problems(withImage('idbloader.img', (image) => image.fill(0, 0, 512)))).toBe(
      'firmware rock64: idbloader.img has no header for the boot ROM',
    )
  })
  test.each([
    ['CONFIG_ENV_WRITEABLE_LIST=y', 'its configuration lacks "CONFIG_ENV_WRITEABLE_LIST=y"'],
    ['CONFIG_CMD_USB_MASS_STORAGE=y', 'its configuration lacks "CONFIG_CMD_USB_MASS_STORAGE=y"'],
    [
      'CONFIG_ENV_OFFSET_REDUND=0xF10000',
      'CONFIG_ENV_OFFSET_REDUND is undefined, but the device looks for the environment at 15794176',
    ],
  ])('without %s', (line, problem) => {
    expect(problems({ ...rock64, config: rock64.config.replace(`${line}\n`, '') })).toBe(
      `firmware rock64: ${problem}`,
    )
  })
  test('the device tree has a host port where recovery needs a device port', () => {
    const hosted = withImage('u-boot.itb', (image) => {
      const at = image.lastIndexOf('peripheral\0')
      image.write('otherwise!', at, 'latin1')
      return image
    })
    expect(problems(hosted)).toContain('its device tree has no USB device port for recovery')
  })
  test('the selector reads the slot before it has put the try on record', () => {
    const attempt = rock64.environment.get('ab_try')!.replace('saveenv', 'true')
    const build = { ...rock64, environment: new Map([...rock64.environment, ['ab_try', attempt]]) }
    expect(problems(build)).toContain('does not put a try on record before it reads the slot')
  })
})
