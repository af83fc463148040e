import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { composeInitrd, composeRootfs } from '@atomixos/image/build/compose-board.ts'
import type { Problem } from '@atomixos/image/definition/problems.ts'
import type { Board } from '@atomixos/image/definition/words.ts'
import { UserError } from '@atomixos/image/errors.ts'
import { StepRunner } from '@atomixos/image/step/step.ts'
import { boards } from '@atomixos/system'
import type { CommandContext } from './context.ts'
import { openLockedInputs } from './locked-inputs.ts'

export function findBoard(name: string): Board {
  const board = boards[name]
  if (board !== undefined) return board
  throw new UserError(`there is no board "${name}"`, {
    hint: `there are: ${Object.keys(boards).join(', ')}`,
    exitCode: 2,
  })
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
    const composeContext = await openComposeContext(context, board, {})
    const [rootfs, initrd] = await Promise.all([
      composeRootfs(board, composeContext),
      composeInitrd(board, composeContext),
    ])
    checked.push({
      board: board.name,
      problems: [...rootfs.problems, ...initrd.problems],
      summary: `root file system with ${rootfs.tree.size} paths of ${rootfs.packages.length} packages, initrd with ${initrd.tree.size}; no problems`,
    })
  }
  return checked
}

async function openComposeContext(context: CommandContext, board: Board, options: { frozen?: boolean }) {
  const inputs = await openLockedInputs(context, options)
  const steps = new StepRunner({
    cacheDir: context.workspace.cacheDir,
    reporter: context.reporter,
    signal: context.signal,
  })
  return {
    inputs,
    steps,
    tools: await inputs.toolTree('tools'),
    rootDir: context.workspace.rootDir,
    deviceEntryPath: join(context.workspace.rootDir, 'packages/device/src/main.ts'),
    facts: buildFacts({ version: await readVersion(context), series: inputs.lock.series, board: board.name }),
  }
}

/** What templates in `system/` may name. */
function buildFacts(facts: { version: string; series: string; board: string }): Record<string, string> {
  return {
    ...facts,
    variant: 'development',
    notice: 'Development image: not for the field.',
  }
}

async function readVersion(context: CommandContext): Promise<string> {
  const text = await readFile(join(context.workspace.rootDir, 'package.json'), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}
