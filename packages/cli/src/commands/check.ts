import { renderProblems } from '@atomixos/image/definition/index.ts'
import type { Command } from 'commander'
import type { CommandContext } from '../context.ts'
import { checkBoards } from '../pipeline.ts'

export function addCheck(program: Command, context: CommandContext): void {
  program
    .command('check')
    .description('evaluate every board and check its trees, without building images')
    .option('--json', 'the problems as JSON')
    .addHelpText(
      'after',
      `
Looks for conflicts between modules, units that name missing programs or accounts, missing libraries,
dangling links, private keys.

Examples:
  ./atomixos check
  ./atomixos check --json
`,
    )
    .action(async (options: { json?: boolean }) => {
      const boards = await checkBoards(context)
      context.reporter.close()
      const count = boards.reduce((sum, board) => sum + board.problems.length, 0)
      if (options.json) process.stdout.write(`${JSON.stringify(boards, null, 2)}\n`)
      else {
        for (const { board, problems, summary } of boards) {
          if (problems.length > 0) process.stdout.write(`${board}:\n${renderProblems(problems)}\n`)
          if (problems.length === 0) process.stdout.write(`${board}: ${summary}\n`)
        }
        if (count > 0) process.stdout.write(`\n${count} ${count === 1 ? 'problem' : 'problems'}\n`)
      }
      if (count > 0) process.exitCode = 1
    })
}
