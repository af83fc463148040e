import { posix } from 'node:path'
import type { Problem } from '../definition/problems.ts'
import type { Board } from '../definition/words.ts'
import { ContentReader } from '../tree/read-content.ts'
import type { Tree } from '../tree/tree.ts'
import { parseDeviceTree } from '../uboot/device-tree.ts'
import { parseConfig } from '../uboot/kernel-config.ts'
import { boardDriverProblems } from './board-drivers.ts'
import { deviceTree, kernelFiles } from './kernel-files.ts'

export interface KernelCheckInput {
  readonly board: Board
  /** Of the kernel package that boots. */
  readonly kernel: Tree
  readonly initrd: Tree
  readonly rootfs: Tree
}

/**
 * What no single tree can tell: whether both hold modules of the kernel that boots, and whether together they have a
 * driver for every device of the board, each where it is needed.
 */
export async function kernelProblems({
  board,
  kernel,
  initrd,
  rootfs,
}: KernelCheckInput): Promise<Problem[]> {
  const { release, config } = kernelFiles(kernel)
  const problems: Problem[] = []
  for (const [name, tree] of [
    ['the initrd', initrd],
    ['the root file system', rootfs],
  ] as const) {
    const releases = [...tree.keys()]
      .filter((path) => path.endsWith('/modules.dep'))
      .map((path) => posix.dirname(path))
    const other = releases.map((path) => posix.basename(path)).filter((found) => found !== release)
    if (releases.length > 0 && other.length === 0) continue
    problems.push({
      where: name,
      message: `has kernel modules for ${other.join(', ') || 'no kernel'}, but ${release} is what boots`,
      hint: 'run `./atomixos lock --update`, so that both targets get the same kernel package',
    })
  }
  if (board.drivers === undefined || problems.length > 0) return problems
  await using reader = new ContentReader()
  const aliases = async (tree: Tree) => {
    const node = tree.get(`/usr/lib/modules/${release}/modules.alias`)
    return node?.type === 'file' ? reader.readText(node.content) : ''
  }
  for (const name of board.deviceTrees) {
    const { root } = parseDeviceTree(await reader.read(deviceTree(kernel, name, release).content))
    problems.push(
      ...boardDriverProblems({
        deviceTree: root,
        needs: board.drivers,
        kernelConfig: parseConfig(await reader.readText(config.content)),
        initrdAliases: await aliases(initrd),
        rootAliases: await aliases(rootfs),
      }),
    )
  }
  return problems
}
