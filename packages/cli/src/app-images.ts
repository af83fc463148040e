import type { AppImageName } from '@atomixos/e2e/bundle-fixtures.ts'
import type { AppImage } from '@atomixos/e2e/setup.ts'
import { buildContainerImage } from '@atomixos/image/container-image/build-image.ts'
import { containerImages } from '@atomixos/image/container-image/images.ts'
import { StepRunner } from '@atomixos/image/step/step.ts'
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
