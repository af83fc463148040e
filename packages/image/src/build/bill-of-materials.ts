import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { UnpackedPackage } from '../inputs.ts'
import { buildSbom, type SbomPart } from '../sbom/build-sbom.ts'
import { renderBom } from '../sbom/cyclonedx.ts'
import { npmClosure } from '../sbom/npm-closure.ts'
import { codeIdentity } from '../step/code-identity.ts'
import { treeIdentity } from '../tree/identity.ts'
import type { BoardBuild } from './build-board.ts'
import type { ComposeContext } from './compose-board.ts'

/** CycloneDX document of everything that is in the image; gives its path. */
export async function billOfMaterials(
  options: { readonly board: string; readonly build: BoardBuild },
  context: ComposeContext,
): Promise<string> {
  const { inputs, steps, rootDir, facts } = context
  const { rootfs, initrd } = options.build
  const { lock } = inputs
  const parts: SbomPart[] = [
    { name: 'rootfs', packages: rootfs.packages, tree: rootfs.tree, alsoUsed: kernelNames(rootfs.packages) },
    { name: 'initrd', packages: initrd.packages, tree: initrd.tree, alsoUsed: kernelNames(initrd.packages) },
    { name: 'firmware', packages: await inputs.packageTrees('firmware'), tree: undefined },
  ]
  const packageLock = await readFile(join(rootDir, 'package-lock.json'), 'utf8')
  const document = {
    board: options.board,
    version: facts.version!,
    series: lock.series,
    sourceDateEpoch: lock.sourceDateEpoch,
    sources: { 'u-boot': { source: lock.sources['u-boot']!, license: 'GPL-2.0-or-later' } },
    npmBinaries: lock.npm.map((npm) => ({ ...npm, license: 'MIT' })),
    npmParts: npmClosure(packageLock, ['packages/device', 'packages/config']),
  }
  const result = await steps.run({
    name: 'bill of materials',
    code: codeIdentity(import.meta.url),
    inputs: {
      ...document,
      parts: parts.map(({ name, packages, tree }) => ({
        name,
        packages: packages.map(({ locked }) => locked),
        tree: tree && treeIdentity(tree),
      })),
    },
    async run({ outDir }) {
      await writeFile(join(outDir, 'sbom.cdx.json'), renderBom(await buildSbom({ ...document, parts })))
    },
  })
  return join(result.dir, 'sbom.cdx.json')
}

/** Kernel and device trees go into the boot slot, modules are unpacked on their way: no file stays as it was. */
function kernelNames(packages: readonly UnpackedPackage[]): string[] {
  return packages.map(({ name }) => name).filter((name) => /^linux-image-\d/.test(name))
}
