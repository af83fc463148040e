import { readFileSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { environmentCardBytes } from '@atomixos/config'
import { type MachineOptions, type Programs, treePrograms } from '@atomixos/machine'
import type { AppImageName, ExampleName, FixtureName } from './bundle-fixtures.ts'

/**
 * What `./atomixos e2e` hands to the stories: where the built image is and where programs come from. The
 * stories see nothing else of the build.
 */
export interface E2eSetup {
  readonly distDir: string
  /** Machines, logs and saved states; kept after a failure. */
  readonly workDir: string
  readonly rootDir: string
  /** The tools tree with QEMU and what network labs need. */
  readonly programsDir: string
  /** The tree of build tools, for what looks at file systems and images. */
  readonly imageProgramsDir: string
  /** The tree that the fleet's server runs programs of. */
  readonly fleetProgramsDir: string
  /** The tree with the browser, for the stories that asked for it. */
  readonly browserProgramsDir?: string
  /** Paths of the bundles, deltas and channel files that the stories asked for. */
  readonly bundles: Readonly<Partial<Record<FixtureName, string>>>
  /** Images of containers that the stories asked for. */
  readonly images: Readonly<Partial<Record<AppImageName, AppImage>>>
  /** Paths of the packed examples that the stories asked for. */
  readonly examples: Readonly<Partial<Record<ExampleName, string>>>
  /** Whether a story with many seeded places tries all of them: `./atomixos test` has time for a part. */
  readonly thorough: boolean
  /** Stories that have not begun by then are skipped; milliseconds since 1970. Default: all are told. */
  readonly beginUntilMs?: number
  /** Of the story `power-campaign`; default: what `./atomixos test` has time for. */
  readonly campaign?: CampaignSetup
}

export interface AppImage {
  /** An archive for the folder `files/images/` of a configuration's bundle, or for `podman load`. */
  readonly path: string
  /** What a container names in `Image`: `localhost/busybox:1`. */
  readonly reference: string
}

export interface CampaignSetup {
  readonly points: number
  readonly seed: number
  readonly boots: number
  /** Put into the recording on purpose: one of `defects` in power-campaign/recording.ts. */
  readonly defect?: string
}

export interface Manifest {
  readonly version: string
  readonly sourceDateEpoch: number
  readonly series: string
  readonly board: string
  readonly artifacts: readonly {
    readonly name: string
    readonly sizeBytes: number
    readonly sha256: string
  }[]
}

function readSetup(): E2eSetup {
  const path = process.env.ATOMIXOS_E2E
  if (!path) throw new Error('these stories are told by `./atomixos e2e`, which prepares what they need')
  return JSON.parse(readFileSync(path, 'utf8')) as E2eSetup
}

export const setup = readSetup()

export const manifest = JSON.parse(readFileSync(join(setup.distDir, 'manifest.json'), 'utf8')) as Manifest

export const imagePath = join(setup.distDir, `atomixos-${manifest.series}-${manifest.board}.img`)
export const firmwarePath = join(setup.distDir, 'u-boot-qemu.bin')

/** The eMMC of a Rock64. */
export const diskBytes = 16_000_000_000 - (16_000_000_000 % 512)

export const programs: Programs = treePrograms(setup.programsDir)

/** Programs for file systems and images: f2fs-tools, squashfs-tools. */
export const imagePrograms: Programs = treePrograms(setup.imageProgramsDir)

/** Programs of the fleet's server. */
export const fleetPrograms: Programs = treePrograms(setup.fleetProgramsDir)

/** The browser's. */
export function browserPrograms(): Programs {
  if (setup.browserProgramsDir === undefined)
    throw new Error('bundle-fixtures.ts does not list this story among those with a browser')
  return treePrograms(setup.browserProgramsDir)
}

/** A bundle, a delta or a channel file that was built for the stories. */
export function bundlePath(name: FixtureName): string {
  const path = setup.bundles[name]
  if (path === undefined) throw new Error(`bundle-fixtures.ts does not list "${name}" for this story`)
  return path
}

/** An image of a container that was made for the stories. */
export function appImage(name: AppImageName): AppImage {
  const image = setup.images[name]
  if (image === undefined)
    throw new Error(`bundle-fixtures.ts does not list the image "${name}" for this story`)
  return image
}

/** An example of the documents, as a bundle with its images. */
export function exampleBundlePath(name: ExampleName): string {
  const path = setup.examples[name]
  if (path === undefined)
    throw new Error(`bundle-fixtures.ts does not list the example "${name}" for this story`)
  return path
}

/** All of the cases in a thorough run, else `count` of them, spread evenly. */
export function seededPart<T>(cases: readonly T[], count: number): T[] {
  if (setup.thorough || cases.length <= count) return [...cases]
  return Array.from({ length: count }, (_, index) => cases[Math.floor((index * cases.length) / count)]!)
}

/**
 * For `test.each`: once in a thorough run, never in another. For a test that costs minutes, where others of its
 * story are always told.
 */
export const thoroughly = setup.thorough ? ['once'] : []

/** A fresh folder for one story. */
export async function storyDir(name: string): Promise<string> {
  const dir = join(setup.workDir, name)
  await rm(dir, { recursive: true, force: true })
  await mkdir(dir, { recursive: true })
  return dir
}

/** A Rock64-sized gateway that boots `disk` (default: the release image, as flashed) through the real U-Boot. */
export function gatewayOptions(dir: string, overrides: Partial<MachineOptions> = {}): MachineOptions {
  return {
    name: 'gateway',
    programs,
    dir,
    firmware: firmwarePath,
    disk: { image: imagePath, sizeBytes: diskBytes },
    sdCard: { sizeBytes: environmentCardBytes },
    ...overrides,
  }
}
