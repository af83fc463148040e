import { stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Inputs } from '../inputs.ts'
import { codeIdentity } from '../step/code-identity.ts'
import type { StepRunner } from '../step/step.ts'
import { fileSha256 } from '../tree/file-node.ts'
import type { BoardBuild } from './build-board.ts'
import { type ExportedFile, exportDist } from './export-dist.ts'

export interface ArtifactRecord {
  readonly name: string
  readonly sizeBytes: number
  readonly sha256: string
}

export interface BoardManifest {
  readonly board: string
  readonly series: string
  readonly version: string
  readonly artifacts: readonly ArtifactRecord[]
}

/** Names the artifacts of a board as people know them and writes manifest and checksums beside them. */
export async function exportBoard(
  options: {
    readonly board: string
    readonly version: string
    readonly build: BoardBuild
    readonly distDir: string
  },
  { inputs, steps }: { inputs: Inputs; steps: StepRunner },
): Promise<{ manifest: BoardManifest; changed: boolean }> {
  const { board, version, build, distDir } = options
  const { series } = inputs.lock
  const files: ExportedFile[] = [
    { name: `atomixos-${series}-${board}.img`, path: build.disk.path },
    { name: 'boot.scr', path: build.bootScriptPath },
    { name: 'boot.vfat', path: build.bootSlot.path },
    { name: 'rootfs.squashfs', path: build.squashfs.path },
  ]
  for (const [name, firmware] of build.firmware) {
    for (const image of firmware.source.images) {
      files.push({ name: name === 'qemu' ? `u-boot-${name}.bin` : image, path: firmware.path(image) })
    }
  }
  files.sort((a, b) => (a.name < b.name ? -1 : 1))
  const artifacts = await Promise.all(
    files.map(async ({ name, path }) => ({
      name,
      sizeBytes: (await stat(path)).size,
      sha256: await fileSha256(path),
    })),
  )
  const manifest: BoardManifest = { board, series, version, artifacts }
  const result = await steps.run({
    name: 'manifest',
    code: codeIdentity(import.meta.url),
    inputs: manifest,
    async run({ outDir }) {
      await writeFile(join(outDir, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`)
      await writeFile(
        join(outDir, 'SHA256SUMS'),
        artifacts.map(({ name, sha256 }) => `${sha256}  ${name}\n`).join(''),
      )
    },
  })
  const written = ['manifest.json', 'SHA256SUMS'].map((name) => ({ name, path: join(result.dir, name) }))
  const { changed } = await exportDist([...files, ...written], distDir)
  return { manifest, changed }
}
