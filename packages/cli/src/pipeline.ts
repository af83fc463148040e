import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buildBoard } from '@atomixos/image/build/build-board.ts'
import { type ComposeContext, composeBoard } from '@atomixos/image/build/compose-board.ts'
import { exportBoard } from '@atomixos/image/build/export-board.ts'
import type { Problem } from '@atomixos/image/definition/problems.ts'
import type { Board } from '@atomixos/image/definition/words.ts'
import { UserError } from '@atomixos/image/errors.ts'
import type { Artifact, Manifest } from '@atomixos/image/manifest/manifest.ts'
import type { ZstdParameters } from '@atomixos/image/squashfs/compression.ts'
import { StepRunner } from '@atomixos/image/step/step.ts'
import type { FirmwareSource } from '@atomixos/image/uboot/firmware-source.ts'
import { boards } from '@atomixos/system'
import { firmwareSources, ubootPatches } from '@atomixos/system/firmware/index.ts'
import type { CommandContext } from './context.ts'
import { openLockedInputs } from './locked-inputs.ts'

/**
 * Of the root file system: level 19 with a little less search, which costs 0.3 % in size and saves a quarter of the
 * time. `bench/build` compares.
 */
const releaseCompression: ZstdParameters = {
  level: 19,
  strategy: 8,
  minMatch: 3,
  searchLog: 4,
  targetLength: 64,
}

export interface BuildOptions {
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
  const board = findBoard(options.board)
  const composing = await openComposeContext(context, board, options)
  const made = await buildBoard(
    {
      board,
      firmwareSources: board.firmware.map(({ name }) => firmwareSource(name)),
      firmwarePatches: ubootPatches,
      compression: options.level === undefined ? releaseCompression : { level: options.level },
      cacheDir: context.workspace.cacheDir,
    },
    composing,
  )
  const distDir = join(context.workspace.distDir, board.name)
  const { manifest, changed } = await exportBoard({ board: board.name, build: made, distDir }, composing)
  return { distDir, manifest, files: manifest.artifacts, changed }
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

function findBoard(name: string): Board {
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

async function openComposeContext(
  context: CommandContext,
  board: Board,
  options: { frozen?: boolean },
): Promise<ComposeContext> {
  const { workspace, reporter, signal } = context
  const inputs = await openLockedInputs(context, options)
  return {
    inputs,
    steps: new StepRunner({ cacheDir: workspace.cacheDir, reporter, signal }),
    tools: await inputs.toolTree('tools'),
    rootDir: workspace.rootDir,
    deviceEntryPath: join(workspace.rootDir, 'packages/device/src/main.ts'),
    facts: templateFacts(await readVersion(workspace.rootDir), inputs.lock.series, board.name),
  }
}

/** What templates in `system/` may name. */
function templateFacts(version: string, series: string, board: string): Record<string, string> {
  return {
    version,
    series,
    board,
    variant: 'development',
    notice: 'Development image: not for the field.',
  }
}

async function readVersion(rootDir: string): Promise<string> {
  return (JSON.parse(await readFile(join(rootDir, 'package.json'), 'utf8')) as { version: string }).version
}
