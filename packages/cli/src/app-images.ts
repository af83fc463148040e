import { cp, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { AppImageName, ExampleName } from '@atomixos/e2e/bundle-fixtures.ts'
import type { AppImage } from '@atomixos/e2e/setup.ts'
import { buildContainerImage } from '@atomixos/image/container-image/build-image.ts'
import { containerImages } from '@atomixos/image/container-image/images.ts'
import { UserError } from '@atomixos/image/errors.ts'
import { StepRunner } from '@atomixos/image/step/step.ts'
import { readBundleFolder, writeBundle } from './config/pack-bundle.ts'
import type { CommandContext } from './context.ts'
import { openLockedInputs } from './locked-inputs.ts'

/** The images of containers that stories run, fetched and packed when they are asked for. Throws UserError. */
export async function buildAppImages(
  context: CommandContext,
  names: readonly AppImageName[],
): Promise<Partial<Record<AppImageName, AppImage>>> {
  const images: Partial<Record<AppImageName, AppImage>> = {}
  if (names.length === 0) return images
  const { workspace, reporter, signal } = context
  const inputs = await openLockedInputs(context, { targets: ['apps'] })
  const packages = await inputs.packageTrees('apps')
  const steps = new StepRunner({ cacheDir: workspace.cacheDir, reporter, signal })
  const { sourceDateEpoch } = inputs.lock
  for (const name of [...new Set(names)].sort()) {
    const image = containerImages[name]
    const path = await buildContainerImage({ image, packages, sourceDateEpoch }, { steps })
    images[name] = { path, reference: image.reference }
  }
  return images
}

const imagesOfExample: Readonly<Record<ExampleName, readonly AppImageName[]>> = {
  proxy: ['busybox', 'caddy'],
}

/** Examples of the documents with the images that they name, packed as `config pack` does it. Throws UserError. */
export async function packExamples(
  context: CommandContext,
  names: readonly ExampleName[],
): Promise<Partial<Record<ExampleName, string>>> {
  const { workspace, signal } = context
  const packed: Partial<Record<ExampleName, string>> = {}
  const workDir = join(workspace.cacheDir, 'e2e-bundles')
  for (const name of new Set(names)) {
    const dir = join(workDir, `example-${name}`)
    const outPath = `${dir}.tar.zst`
    await rm(dir, { recursive: true, force: true })
    await cp(join(workspace.rootDir, 'docs/examples', name), dir, { recursive: true })
    await mkdir(join(dir, 'files/images'))
    const images = Object.entries(await buildAppImages(context, imagesOfExample[name]))
    for (const [image, { path }] of images) await cp(path, join(dir, 'files/images', `${image}.tar`))
    const folder = await readBundleFolder(dir)
    const said = [...folder.parsed.problems, ...folder.problems, ...folder.warnings]
    if (said.length > 0) {
      throw new UserError(
        `docs/examples/${name}: ${said.map(({ path, message }) => `${path}: ${message}`).join('\n')}`,
      )
    }
    await writeBundle(folder, { dir, outPath, format: 'zstd', signal })
    await rm(dir, { recursive: true })
    packed[name] = outPath
  }
  return packed
}
