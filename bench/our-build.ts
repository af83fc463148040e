import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { composeRootfs } from '@atomixos/image/build/compose-board.ts'
import { type Inputs, openInputs } from '@atomixos/image/inputs.ts'
import { silentReporter } from '@atomixos/image/reporter.ts'
import { buildSquashfs } from '@atomixos/image/squashfs/build-squashfs.ts'
import { StepRunner } from '@atomixos/image/step/step.ts'
import type { Tree, TreeNode } from '@atomixos/image/tree/tree.ts'
import { workspaceAt } from '@atomixos/image/workspace.ts'
import { boards } from '@atomixos/system'

/**
 * One build of ours, as a program of its own so that its start is part of what is measured:
 * `our-build.ts CONTENT CACHE LEVEL NOTICE RESULT`. CONTENT is `packages`, all files of all packages as they come, or
 * `product`, the root file system of the Rock64. RESULT gets a JSON document.
 */
const [content, cacheDir, level, notice, resultPath] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  string,
]
const rootDir = join(import.meta.dirname, '..')
const signal = new AbortController().signal
const workspace = workspaceAt(rootDir, { cacheDir })
await mkdir(cacheDir, { recursive: true })
const inputs = await openInputs({ workspace, reporter: silentReporter, signal })
const steps = new StepRunner({ cacheDir, reporter: silentReporter, signal })
const built = await buildSquashfs(
  {
    tree: content === 'packages' ? await allFiles(inputs) : await productTree(),
    compression: { level: Number(level) },
    sourceDateEpoch: inputs.lock.sourceDateEpoch,
  },
  { steps, cacheDir },
)
await writeFile(resultPath, JSON.stringify(built))

async function productTree(): Promise<Tree> {
  const board = boards.rock64!
  const composed = await composeRootfs(board, {
    inputs,
    steps,
    tools: await inputs.toolTree('tools'),
    rootDir,
    deviceEntryPath: join(rootDir, 'packages/device/src/main.ts'),
    facts: {
      version: '0.0.0',
      series: inputs.lock.series,
      board: board.name,
      variant: 'development',
      notice,
      keyring: '',
    },
  })
  if (composed.problems.length > 0) throw new Error('the tree has problems: run `./atomixos check`')
  return composed.tree
}

/** Later packages win, as when archives are unpacked over each other. */
async function allFiles(inputs: Inputs): Promise<Tree> {
  const tree = new Map<string, TreeNode>()
  for (const { tree: files } of await inputs.packageTrees('rootfs')) {
    for (const [path, node] of files) tree.set(path, node)
  }
  const directory: TreeNode = { type: 'directory', mode: 0o755, uid: 0, gid: 0, origin: 'bench' }
  tree.set('/', directory)
  for (const path of [...tree.keys()]) {
    for (
      let parent = path.slice(0, path.lastIndexOf('/'));
      parent !== '';
      parent = parent.slice(0, parent.lastIndexOf('/'))
    ) {
      if (tree.get(parent)?.type !== 'directory') tree.set(parent, directory)
    }
  }
  return tree
}
