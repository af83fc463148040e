import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { UserError } from '@atomixos/image/errors.ts'
import type { Command } from 'commander'
import { runProgram } from '../checks/run-program.ts'
import type { CommandContext } from '../context.ts'

/** Others in the folder are parts of these. */
const names = ['build', 'update']

export function addBench(program: Command, context: CommandContext): void {
  program
    .command('bench')
    .description('measure; prints ratios from one run, never judges')
    .argument('<NAME>', 'build, update')
    .argument('[OPTION...]', "the benchmark's own options")
    .allowUnknownOption()
    .addHelpText(
      'after',
      '\nExamples:\n  ./atomixos bench build\n  ./atomixos bench update --only line,library\n',
    )
    .action(async (name: string, rest: string[]) => {
      const { rootDir } = context.workspace
      const path = join(rootDir, 'bench', `${name}.ts`)
      if (!names.includes(name) || !existsSync(path)) {
        throw new UserError(`there is no benchmark "${name}"`, {
          hint: 'there are: build, update',
          exitCode: 2,
        })
      }
      process.exitCode = await runProgram([process.execPath, path, ...rest], {
        cwd: rootDir,
        signal: context.signal,
      })
    })
}
