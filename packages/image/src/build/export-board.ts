import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  type Artifact,
  type ArtifactFile,
  describeArtifacts,
  type Manifest,
  makeManifest,
  renderChecksums,
  renderManifest,
} from '../manifest/manifest.ts'
import { canonicalJson } from '../step/canonical-json.ts'
import { codeIdentity } from '../step/code-identity.ts'
import { billOfMaterials } from './bill-of-materials.ts'
import type { BoardBuild, BoardParts } from './build-board.ts'
import type { ComposeContext } from './compose-board.ts'
import { exportDist, exportOne } from './export-dist.ts'

/** Names the artifacts of a board as people know them, and writes bill of materials, manifest and checksums. */
export async function exportBoard(
  options: { readonly board: string; readonly build: BoardBuild; readonly distDir: string },
  context: ComposeContext,
): Promise<{ manifest: Manifest; changed: boolean }> {
  const { board, build, distDir } = options
  const { inputs, steps, facts } = context
  const { lock } = inputs
  const names = { series: lock.series, board }
  const files: ArtifactFile[] = [
    { ...partFile('image', names), path: build.disk.path },
    { ...partFile('rauc-bundle', names), path: build.bundle.path },
    { ...partFile('boot-script', names), path: build.bootScriptPath },
    { name: 'boot.vfat', kind: 'boot slot', path: build.bootSlot.path },
    { ...partFile('squashfs', names), path: build.squashfs.path },
    {
      name: 'sbom.cdx.json',
      kind: 'bill of materials',
      path: await billOfMaterials({ board, build }, context),
    },
    ...firmwareFiles(build),
  ]
  const artifacts = await describeArtifacts(files)
  const manifest = makeManifest({
    board,
    version: facts.version!,
    variant: facts.variant!,
    lock,
    lockSha256: createHash('sha256').update(canonicalJson(lock)).digest('hex'),
    artifacts,
    verity: build.squashfs.verity,
  })
  const result = await steps.run({
    name: 'manifest',
    code: codeIdentity(import.meta.url),
    inputs: manifest,
    async run({ outDir }) {
      await writeFile(join(outDir, 'manifest.json'), renderManifest(manifest))
      await writeFile(join(outDir, 'SHA256SUMS'), renderChecksums(artifacts))
    },
  })
  const written = ['manifest.json', 'SHA256SUMS'].map((name) => ({ name, path: join(result.dir, name) }))
  const { changed } = await exportDist([...files, ...written], distDir)
  return { manifest, changed }
}

/** What can be asked for alone. */
export const partNames = ['squashfs', 'boot-script', 'image', 'rauc-bundle'] as const
export type PartName = (typeof partNames)[number]

/** Makes one artifact with what it depends on, and puts it into the folder. */
export async function exportPart(
  part: PartName,
  options: { readonly board: string; readonly parts: BoardParts; readonly distDir: string },
  context: ComposeContext,
): Promise<{ artifact: Artifact; changed: boolean }> {
  const { board, parts, distDir } = options
  const make = {
    squashfs: async () => (await parts.squashfs()).path,
    'boot-script': async () => (await parts.bootFiles()).scriptPath,
    image: async () => (await parts.disk()).path,
    'rauc-bundle': async () => (await parts.bundle()).path,
  }
  const file = { ...partFile(part, { series: context.inputs.lock.series, board }), path: await make[part]() }
  const [artifact] = await describeArtifacts([file])
  return { artifact: artifact!, ...(await exportOne(file, distDir)) }
}

function partFile(part: PartName, { series, board }: { series: string; board: string }) {
  const files = {
    image: { name: `atomixos-${series}-${board}.img`, kind: 'disk image' },
    'rauc-bundle': { name: `atomixos-${series}-${board}.raucb`, kind: 'update bundle' },
    'boot-script': { name: 'boot.scr', kind: 'boot script' },
    squashfs: { name: 'rootfs.squashfs', kind: 'root file system' },
  }
  return files[part]
}

/** The flashed firmware keeps U-Boot's names; one for another machine says which. */
function firmwareFiles(build: BoardBuild): ArtifactFile[] {
  return [...build.firmware].flatMap(([name, firmware]) =>
    firmware.source.images.map((image) => ({
      name: image === 'u-boot.bin' ? `u-boot-${name}.bin` : image,
      kind: `firmware of ${name}`,
      path: firmware.path(image),
    })),
  )
}
