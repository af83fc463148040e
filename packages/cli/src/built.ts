import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { UserError } from '@atomixos/image/errors.ts'
import type { Workspace } from '@atomixos/image/workspace.ts'

export interface Built {
  readonly distDir: string
  readonly imagePath: string
  readonly qemuFirmwarePath: string
  readonly manifest: { readonly series: string; readonly board: string; readonly version: string }
}

/** What `./atomixos build` left in `dist/`. */
export async function readBuilt(workspace: Workspace, board: string): Promise<Built> {
  const distDir = join(workspace.distDir, board)
  const manifestPath = join(distDir, 'manifest.json')
  if (!existsSync(manifestPath)) {
    throw new UserError(`${manifestPath} is not there: ${board} has not been built`, {
      hint: 'run `./atomixos build` first',
    })
  }
  const manifest = JSON.parse(await readFile(manifestPath, 'utf8')) as Built['manifest']
  return {
    distDir,
    manifest,
    imagePath: join(distDir, `atomixos-${manifest.series}-${board}.img`),
    qemuFirmwarePath: join(distDir, 'u-boot-qemu.bin'),
  }
}
