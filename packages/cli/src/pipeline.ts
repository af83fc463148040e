import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type BoardParts, boardParts, buildBoard } from '@atomixos/image/build/build-board.ts'
import { type ComposeContext, composeBoard } from '@atomixos/image/build/compose-board.ts'
import { exportBoard, exportPart, type PartName } from '@atomixos/image/build/export-board.ts'
import type { Problem } from '@atomixos/image/definition/problems.ts'
import type { Board } from '@atomixos/image/definition/words.ts'
import { UserError } from '@atomixos/image/errors.ts'
import type { Artifact, Manifest } from '@atomixos/image/manifest/manifest.ts'
import { releaseCompression } from '@atomixos/image/squashfs/compression.ts'
import { StepRunner } from '@atomixos/image/step/step.ts'
import type { FirmwareSource } from '@atomixos/image/uboot/firmware-source.ts'
import { boards } from '@atomixos/system'
import { firmwareSources, ubootPatches } from '@atomixos/system/firmware/index.ts'
import type { CommandContext } from './context.ts'
import { openLockedInputs } from './locked-inputs.ts'
import { openSigning, type ReleaseOptions, type Signing } from './signing.ts'

export interface BuildOptions extends ReleaseOptions {
  readonly board: string
  readonly frozen?: boolean
  /** zstd level of the root file system; undefined: as for a release. */
  readonly level?: number
}

export interface Built {
  readonly distDir: string
  readonly manifest: Manifest
  readonly files: readonly Artifact[]
  /** False when `dist/` was already what it should be. */
  readonly changed: boolean
}

/** The product's whole way from the lock file to `dist/`. Throws UserError. */
export async function build(context: CommandContext, options: BuildOptions): Promise<Built> {
  const { board, parts, composing } = await openBoard(context, options)
  const made = await buildBoard(parts)
  const distDir = join(context.workspace.distDir, board.name)
  const { manifest, changed } = await exportBoard({ board: board.name, build: made, distDir }, composing)
  return { distDir, manifest, files: manifest.artifacts, changed }
}

/** One artifact, and of the rest only what it is made of. Throws UserError. */
export async function buildPart(
  context: CommandContext,
  part: PartName,
  options: BuildOptions,
): Promise<Omit<Built, 'manifest'>> {
  const { board, parts, composing } = await openBoard(context, options)
  const distDir = join(context.workspace.distDir, board.name)
  const { artifact, changed } = await exportPart(part, { board: board.name, parts, distDir }, composing)
  return { distDir, files: [artifact], changed }
}

async function openBoard(
  context: CommandContext,
  options: BuildOptions,
): Promise<{ board: Board; parts: BoardParts; composing: ComposeContext }> {
  const board = findBoard(options.board)
  const { signing, ...composing } = await openComposeContext(context, board, options)
  return { board, parts: partsOf(context, board, { composing, signing, level: options.level }), composing }
}

/** The parts of any board, of the product's or of one that a test has changed. */
export function partsOf(
  context: CommandContext,
  board: Board,
  options: {
    readonly composing: ComposeContext
    readonly signing: Signing
    readonly level?: number | undefined
  },
): BoardParts {
  const { composing, signing, level } = options
  return boardParts(
    {
      board,
      firmwareSources: board.firmware.map(({ name }) => firmwareSource(name)),
      firmwarePatches: ubootPatches,
      compression: level === undefined ? releaseCompression : { level },
      bundle: { ...signing, description: describeBundle(signing, composing.facts) },
      cacheDir: context.workspace.cacheDir,
    },
    composing,
  )
}

export interface CheckedBoard {
  readonly board: string
  readonly problems: readonly Problem[]
  readonly summary: string
}

/** Composes and checks the trees of every board; builds none of them. */
export async function checkBoards(context: CommandContext): Promise<CheckedBoard[]> {
  const checked: CheckedBoard[] = []
  for (const board of Object.values(boards)) {
    const composing = await openComposeContext(context, board, {})
    const { rootfs, initrd, problems } = await composeBoard(board, composing)
    checked.push({
      board: board.name,
      problems,
      summary: `root file system of ${rootfs.tree.size} paths and ${rootfs.packages.length} packages, initrd of ${initrd.tree.size} paths; no problems`,
    })
  }
  return checked
}

export function findBoard(name: string): Board {
  const board = boards[name]
  if (board !== undefined) return board
  throw new UserError(`there is no board "${name}"`, {
    hint: `there are: ${Object.keys(boards).join(', ')}`,
    exitCode: 2,
  })
}

function firmwareSource(name: string): FirmwareSource {
  const source = (firmwareSources as Readonly<Record<string, FirmwareSource>>)[name]
  if (source === undefined) throw new UserError(`system/firmware has no "${name}"`, { exitCode: 2 })
  return source
}

export async function openComposeContext(
  context: CommandContext,
  board: Board,
  options: ReleaseOptions & { frozen?: boolean },
): Promise<ComposeContext & { readonly signing: Signing }> {
  const { workspace, reporter, signal } = context
  const inputs = await openLockedInputs(context, options)
  const tools = await inputs.toolTree('tools')
  const signing = await openSigning(context, tools, options)
  const version = await readVersion(workspace.rootDir)
  return {
    inputs,
    signing,
    steps: new StepRunner({ cacheDir: workspace.cacheDir, reporter, signal }),
    tools,
    rootDir: workspace.rootDir,
    deviceEntryPath: join(workspace.rootDir, 'packages/device/src/main.ts'),
    facts: templateFacts({ version, series: inputs.lock.series, board: board.name, signing }),
  }
}

/** What templates in `system/` may name. */
function templateFacts(given: {
  readonly version: string
  readonly series: string
  readonly board: string
  readonly signing: Signing
}): Record<string, string> {
  const { version, series, board, signing } = given
  const { variant, keyring } = signing
  const notice = variant === 'development' ? 'Development image: not for the field.' : ''
  return { version, series, board, variant, notice, keyring }
}

/** What `rauc info` shows of a bundle on any device. */
export function describeBundle({ variant }: Signing, facts: Readonly<Record<string, string>>): string {
  const name = `AtomixOS ${facts.version} (${facts.board}, Debian ${facts.series})`
  return variant === 'release' ? name : `DEVELOPMENT, not for the field: ${name}`
}

async function readVersion(rootDir: string): Promise<string> {
  return (JSON.parse(await readFile(join(rootDir, 'package.json'), 'utf8')) as { version: string }).version
}
