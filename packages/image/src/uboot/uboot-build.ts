import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseEnvironmentBlock } from './environment-block.ts'
import type { FirmwareSource } from './firmware-source.ts'
import { ubootFiles } from './uboot-step.ts'

/** The result of `ubootStep`, read back. */
export interface UbootBuild {
  readonly config: string
  readonly environmentBlock: Buffer
  readonly environment: ReadonlyMap<string, string>
  readonly deviceTree: Buffer | undefined
  /** By file name. */
  readonly images: ReadonlyMap<string, Buffer>
}

export async function readUbootBuild(dir: string, firmware: FirmwareSource): Promise<UbootBuild> {
  const images = new Map<string, Buffer>()
  for (const image of firmware.images) images.set(image, await readFile(join(dir, image)))
  const environmentBlock = await readFile(join(dir, ubootFiles.environmentBlock))
  const treePath = join(dir, ubootFiles.deviceTree)
  return {
    config: await readFile(join(dir, ubootFiles.config), 'utf8'),
    environmentBlock,
    environment: parseEnvironmentBlock(environmentBlock),
    deviceTree: existsSync(treePath) ? await readFile(treePath) : undefined,
    images,
  }
}
