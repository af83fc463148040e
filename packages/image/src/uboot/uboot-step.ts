import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { UserError } from '../errors.ts'
import { codeIdentity } from '../step/code-identity.ts'
import type { Step, StepContext, StepResult } from '../step/step.ts'
import type { ToolMount, ToolTree } from '../tools/tools.ts'
import { ContentReader, contentSha256 } from '../tree/read-content.ts'
import type { Content } from '../tree/tree.ts'
import { parseEnvironmentBlock, renderEnvironment } from './environment-block.ts'
import type { FirmwareSource } from './firmware-source.ts'
import { mergeConfig, unmetLines } from './kernel-config.ts'

export interface UbootOptions {
  readonly firmware: FirmwareSource
  /** `tools-firmware`. */
  readonly tools: ToolTree
  /** Of `ubootSourceStep`. */
  readonly source: StepResult
  /** BL31, when the firmware names one. */
  readonly trustedFirmware?: Content
  readonly sourceDateEpoch: number
  /** Compilers at a time; no part of the identity. Default: one per core. */
  readonly jobs?: number
}

/** Files of the result, beside the firmware's own images. */
export const ubootFiles = {
  config: 'config',
  /** As compiled in: NUL-separated. */
  environmentBlock: 'environment.bin',
  environment: 'environment.txt',
  /** U-Boot's own device tree; missing where the machine hands one over. */
  deviceTree: 'u-boot.dtb',
} as const

/**
 * One U-Boot: the images that the firmware names, and `ubootFiles` to check them by. Compiled outside of its
 * source in fixed places, with a fixed time and builder, so that the same inputs give the same bytes.
 */
export function ubootStep(options: UbootOptions): Step {
  const { firmware, tools, source, trustedFirmware, sourceDateEpoch } = options
  if ((firmware.trustedFirmware === undefined) !== (trustedFirmware === undefined)) {
    throw new Error(`${firmware.name}: trusted firmware is given exactly when the firmware names it`)
  }
  return {
    name: `u-boot ${firmware.name}`,
    code: codeIdentity(import.meta.url),
    inputs: {
      firmware,
      tools: tools.id,
      source: source.id,
      trustedFirmware: trustedFirmware && contentSha256(trustedFirmware),
      sourceDateEpoch,
    },
    run: (context) => build(options, context),
  }
}

async function build(options: UbootOptions, context: StepContext): Promise<void> {
  const { firmware, tools, source, sourceDateEpoch } = options
  const { outDir, workDir, signal, task } = context
  const buildDir = join(workDir, 'build')
  const declarations = join(workDir, 'declarations')
  await mkdir(buildDir)
  await writeDeclarations(options, declarations)
  const mounts: ToolMount[] = [
    { hostPath: join(source.dir, 'source'), guestPath: '/source', writable: false },
    { hostPath: declarations, guestPath: '/declarations', writable: false },
    { hostPath: buildDir, guestPath: '/build', writable: true },
  ]
  const env = {
    LC_ALL: 'C',
    SOURCE_DATE_EPOCH: String(sourceDateEpoch),
    KBUILD_BUILD_USER: 'atomixos',
    KBUILD_BUILD_HOST: 'build',
    KBUILD_BUILD_TIMESTAMP: `@${sourceDateEpoch}`,
    PYTHONHASHSEED: '0',
    // The source is read-only; compiled Python goes where it ends with the sandbox.
    PYTHONPYCACHEPREFIX: '/tmp/pycache',
  }
  const variables = [
    ...['--directory=/source', 'O=/build', 'HOSTCC=gcc', 'CROSS_COMPILE=aarch64-linux-gnu-'],
    'ENV_FILE=/declarations/environment.env',
    ...(firmware.trustedFirmware ? ['BL31=/declarations/bl31.elf'] : []),
  ]
  const run = (purpose: string, argv: [string, ...string[]], onLine?: (line: string) => void) =>
    tools.run({
      argv,
      purpose: `${purpose} U-Boot for ${firmware.name}`,
      mounts,
      env,
      cwd: '/build',
      // Kconfig asks when something is open, and would ask for ever: an empty answer ends it.
      stdin: new Uint8Array(),
      timeoutMs: 1_200_000,
      signal,
      ...(onLine && { onLine }),
    })

  const defconfig = await readFile(join(source.dir, 'source/configs', firmware.defconfig), 'utf8')
  await writeFile(join(buildDir, '.config'), mergeConfig(defconfig, firmware.configFragments))
  await run('configuring', ['/usr/bin/make', ...variables, 'olddefconfig'])
  const config = await readFile(join(buildDir, '.config'), 'utf8')
  refuseUnmet(firmware, unmetLines(config, firmware.configFragments))

  let compiled = 0
  const jobs = options.jobs ?? availableParallelism()
  await run('compiling', ['/usr/bin/make', `--jobs=${jobs}`, ...variables, 'all'], (line) => {
    if (/^ {2}(?:HOST)?(?:CC|AS|LD) /.test(line)) task.progress(++compiled, undefined, 'items')
  })
  await run('reading the default environment of', [
    '/usr/bin/aarch64-linux-gnu-objcopy',
    ...['--output-target=binary', '--only-section=.rodata.default_environment'],
    ...['env/common.o', ubootFiles.environmentBlock],
  ])

  const keep = async (from: string, to: string = from) => copyFile(join(buildDir, from), join(outDir, to))
  for (const image of firmware.images) await keep(image)
  await keep('.config', ubootFiles.config)
  await keep(ubootFiles.environmentBlock)
  const block = await readFile(join(buildDir, ubootFiles.environmentBlock))
  await writeFile(join(outDir, ubootFiles.environment), renderEnvironment(parseEnvironmentBlock(block)))
  if (!config.includes('\nCONFIG_OF_OMIT_DTB=y\n')) await keep(ubootFiles.deviceTree)
}

async function writeDeclarations(options: UbootOptions, dir: string): Promise<void> {
  const { firmware, trustedFirmware } = options
  await mkdir(dir)
  await writeFile(join(dir, 'environment.env'), firmware.environment)
  for (const [name, text] of Object.entries(firmware.deviceTreeIncludes ?? {})) {
    await writeFile(join(dir, name), text)
  }
  if (trustedFirmware === undefined) return
  await using reader = new ContentReader()
  await writeFile(join(dir, 'bl31.elf'), await reader.read(trustedFirmware))
}

function refuseUnmet(firmware: FirmwareSource, lines: readonly string[]): void {
  if (lines.length === 0) return
  throw new UserError(
    `U-Boot for ${firmware.name} cannot be configured as declared; these lines do not hold:\n${lines.map((line) => `  ${line}`).join('\n')}`,
    {
      hint: 'see what they depend on (or what selects them) in the Kconfig files of the source, and adapt system/firmware',
    },
  )
}
