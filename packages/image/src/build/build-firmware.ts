import { join } from 'node:path'
import { UserError } from '../errors.ts'
import type { Inputs } from '../inputs.ts'
import type { StepResult, StepRunner } from '../step/step.ts'
import type { Content } from '../tree/tree.ts'
import type { FirmwareSource } from '../uboot/firmware-source.ts'
import { ubootSourceStep } from '../uboot/uboot-source-step.ts'
import { ubootStep } from '../uboot/uboot-step.ts'

export interface FirmwareBuild {
  readonly source: FirmwareSource
  readonly result: StepResult
  /** Path of one of the firmware's images. */
  path(image: FirmwareSource['images'][number]): string
}

/** Every U-Boot of a board, compiled side by side from one patched source. By name. */
export async function buildFirmware(
  options: { sources: readonly FirmwareSource[]; patches: readonly string[] },
  { inputs, steps }: { inputs: Inputs; steps: StepRunner },
): Promise<Map<string, FirmwareBuild>> {
  const [tools, files, trusted] = await Promise.all([
    inputs.toolTree('tools-firmware'),
    inputs.sourceFiles('u-boot'),
    inputs.packageTrees('firmware'),
  ])
  const file = (pattern: RegExp) => {
    const found = files.find(({ name }) => pattern.test(name))
    if (found === undefined)
      throw new UserError(`the lock's source u-boot has no file like ${pattern.source}`)
    return { hostPath: found.path, sha256: found.sha256 }
  }
  const source = await steps.run(
    ubootSourceStep({
      tools,
      upstream: file(/\.orig\.tar\.bz2$/),
      debian: file(/\.debian\.tar\.xz$/),
      patches: options.patches,
    }),
  )
  const trustedFirmware = (path: string): Content => {
    const node = trusted.map(({ tree }) => tree.get(path)).find((found) => found !== undefined)
    if (node?.type !== 'file') throw new UserError(`the target firmware of the lock has no ${path}`)
    return node.content
  }
  const builds = await Promise.all(
    options.sources.map(async (firmware): Promise<[string, FirmwareBuild]> => {
      const step = ubootStep({
        firmware,
        tools,
        source,
        sourceDateEpoch: inputs.lock.sourceDateEpoch,
        ...(firmware.trustedFirmware ? { trustedFirmware: trustedFirmware(firmware.trustedFirmware) } : {}),
      })
      const result = await steps.run(step)
      return [firmware.name, { source: firmware, result, path: (image) => join(result.dir, image) }]
    }),
  )
  return new Map(builds)
}
