import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { silentReporter } from '../reporter.ts'
import { StepRunner } from '../step/step.ts'
import { openTestInputs, scratchDir } from '../tools/test-inputs.ts'
import { type BootScript, bootScriptStep, renderBootScript } from './boot-script.ts'

const file = (path: string, sizeBytes: number, digit: string) => ({
  path,
  sizeBytes,
  sha256: digit.repeat(64),
})
// biome-ignore lint/suspicious/noTemplateCurlyInString: U-Boot expands it
const rootArgument = 'root=PARTUUID=${root_uuid}'
const script: BootScript = {
  kernel: file('Image', 0x23fbfc0, '1'),
  initrd: file('initrd', 0x98d46b, '2'),
  deviceTrees: [file('dtbs/rk3328-rock64.dtb', 0x923b, '3')],
  kernelArguments: ['quiet', 'panic=10'],
  rootArguments: [rootArgument, 'ro'],
}

// biome-ignore-start lint/suspicious/noTemplateCurlyInString: U-Boot expands them
describe('renderBootScript', () => {
  const text = renderBootScript(script)

  test('every file is loaded up to its length and compared with its hash before anything starts', () => {
    for (const [address, { path, sizeBytes, sha256 }] of [
      ['kernel_addr_r', script.kernel],
      ['ramdisk_addr_r', script.initrd],
      ['fdt_addr_r', script.deviceTrees[0]!],
    ] as const) {
      const size = sizeBytes.toString(16)
      expect(text).toContain(
        `load \${ab_if} \${ab_dev}:\${slot_boot} \${${address}} ${path} ${size} && hash -v sha256 \${${address}} ${size} ${sha256}; then`,
      )
    }
    expect(text.indexOf('booti')).toBeGreaterThan(text.lastIndexOf('hash -v'))
  })

  test('console, slot and root come from the selector and the slot itself', () => {
    expect(/setenv bootargs "(.*)"/.exec(text)?.[1]).toBe(
      'quiet panic=10 gpt console=${console} ${slot_arguments} root=PARTUUID=${root_uuid} ro',
    )
  })

  test('a panic always restarts, and the backup GPT is always allowed', () => {
    expect(renderBootScript({ ...script, kernelArguments: [] })).toContain('"panic=5 gpt console=')
    expect(renderBootScript({ ...script, kernelArguments: ['gpt'] })).toContain('"gpt panic=5 console=')
  })

  test('it never resets, waits, stores or loops: that is for the selector', () => {
    expect(text).not.toMatch(/\b(?:reset|sleep|saveenv|while|for|run|poweroff)\b/)
  })

  test("U-Boot's own device tree is used where the selector names none", () => {
    expect(text).toContain('if test -z "${board_dtb}"; then\n  setenv slot_fdt ${fdtcontroladdr}\n')
    expect(text).toContain('elif test "${board_dtb}" = rk3328-rock64.dtb; then\n')
  })

  test.each([
    'a;reset',
    'a b',
    'a"b',
    "a'b",
    '$(reset)',
    '${bootcmd}',
    '`reset`',
    'a\\b',
    'a\nb',
    '',
    '#a',
    'a&&b',
  ])('the argument %j is refused', (argument) => {
    expect(() => renderBootScript({ ...script, kernelArguments: [argument] })).toThrow(
      `the kernel argument "${argument}" holds characters that U-Boot's shell takes apart`,
    )
  })

  test('the root placeholder is for root arguments only', () => {
    expect(() => renderBootScript({ ...script, kernelArguments: ['root=${root_uuid}'] })).toThrow(
      "U-Boot's shell",
    )
  })
})
// biome-ignore-end lint/suspicious/noTemplateCurlyInString: U-Boot expands them

test('boot.scr is a script image with whole checksums and the time of the build', async () => {
  await using dir = await scratchDir()
  const tools = await (await openTestInputs()).toolTree('tools')
  const signal = AbortSignal.timeout(60_000)
  const run = async (cacheDir: string) => {
    const steps = new StepRunner({ cacheDir, reporter: silentReporter, signal })
    const step = bootScriptStep({ tools, script, sourceDateEpoch: 1_700_000_000 })
    return readFile(join((await steps.run(step)).dir, 'boot.scr'))
  }
  const image = await run(join(dir.path, 'one'))
  const header = Buffer.from(image.subarray(0, 64))
  const headerCrc = header.readUInt32BE(4)
  header.writeUInt32BE(0, 4)
  expect(header.readUInt32BE(0)).toBe(0x27051956)
  expect(headerCrc).toBe(crc32(header))
  expect(header.readUInt32BE(8)).toBe(1_700_000_000)
  expect(header.readUInt32BE(24)).toBe(crc32(image.subarray(64)))
  expect(image.toString('utf8', 72)).toBe(renderBootScript(script))
  expect(await run(join(dir.path, 'two'))).toEqual(image)
})
