import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { ProgramArguments, ToolTree } from '@atomixos/image/tools/tools.ts'
import type { Programs } from '@atomixos/machine'

/** QEMU and the network programs out of a tools tree, in the words of the machine driver. */
export function machinePrograms(tree: ToolTree): Programs {
  const { loader, env } = programArguments(tree)
  return {
    argv: (program) => [...loader, findProgram(tree.dir, program)],
    env,
    rootDir: tree.dir,
  }
}

export function programArguments(tree: ToolTree): ProgramArguments {
  return tree.unconfined()
}

function findProgram(treeDir: string, program: string): string {
  const found = ['usr/bin', 'usr/sbin']
    .map((folder) => join(treeDir, folder, program))
    .find((path) => existsSync(path))
  if (!found) throw new Error(`the tools tree in ${treeDir} has no program "${program}"`)
  return found
}
