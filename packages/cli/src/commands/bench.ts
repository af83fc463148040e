import { join } from 'node:path'
import { UserError } from '@atomixos/image/errors.ts'
import type { Command } from 'commander'
import { runProgram } from '../checks/run-program.ts'
import type { CommandContext } from '../context.ts'
import { prepareE2e } from './e2e.ts'

/** Benchmarks on a machine that is prepared as for this story. */
const storyOf: Readonly<Record<string, string>> = {
  network: 'network-isolation',
  'config --device': 'network-isolation',
  'update --device': 'rauc-update',
}

/** Others in the folder are parts of these. */
const names = ['build', 'config', 'e2e', 'network', 'update']

export function addBench(program: Command, context: CommandContext): void {
  program
    .command('bench')
    .description('measure; prints ratios from one run, never judges')
    .argument('<NAME>', names.join(', '))
    .argument('[OPTION...]', "the benchmark's own options")
    .allowUnknownOption()
    .addHelpText(
      'after',
      '\nExamples:\n  ./atomixos bench build\n  ./atomixos bench config\n  ./atomixos bench config --device\n  ./atomixos bench network --rounds 20\n  ./atomixos bench e2e --one-at-a-time\n  ./atomixos bench update --only line,library\n  ./atomixos bench update --device\n',
    )
    .action(async (name: string, rest: string[]) => {
      const { rootDir } = context.workspace
      const path = join(rootDir, 'bench', `${name}.ts`)
      if (!names.includes(name)) {
        throw new UserError(`there is no benchmark "${name}"`, {
          hint: `there are: ${names.join(', ')}`,
          exitCode: 2,
        })
      }
      const story = storyOf[rest.includes('--device') ? `${name} --device` : name]
      const needsMachine = story !== undefined && !rest.includes('--help')
      const setupPath = needsMachine
        ? await prepareE2e(context, { names: [story], thorough: false })
        : undefined
      process.exitCode = await runProgram([process.execPath, path, ...rest], {
        cwd: rootDir,
        ...(setupPath !== undefined && { env: { ATOMIXOS_E2E: setupPath } }),
        signal: context.signal,
      })
    })
}
