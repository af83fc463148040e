import { join } from 'node:path'
import { codeIdentity } from '../step/code-identity.ts'
import type { StepRunner } from '../step/step.ts'
import { type DiskContents, imageGpt, writeDisk } from './write-disk.ts'

export interface DiskOptions extends DiskContents {
  /** Ids of the steps that made the parts. */
  readonly partIds: readonly string[]
}

export interface BuiltDisk {
  /** Sparse. */
  readonly path: string
  /** Of the step that made it. */
  readonly id: string
  readonly sizeBytes: number
}

/** The flashable disk image. */
export async function buildDisk(options: DiskOptions, { steps }: { steps: StepRunner }): Promise<BuiltDisk> {
  const { product, firmware, partIds } = options
  const result = await steps.run({
    name: 'disk image',
    code: codeIdentity(import.meta.url),
    inputs: { product, partIds, withFirmware: firmware !== undefined },
    async run({ outDir }) {
      await writeDisk(options, join(outDir, 'disk.img'))
    },
  })
  return { path: join(result.dir, 'disk.img'), id: result.id, sizeBytes: imageGpt(product).diskBytes }
}
