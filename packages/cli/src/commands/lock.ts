import { openInputs } from '@atomixos/image/inputs.ts'
import { describeLockProblem, lockProblems } from '@atomixos/image/lock/lock-problems.ts'
import type { Command } from 'commander'
import type { CommandContext } from '../context.ts'
import { currentDefinition, renewLock } from '../locked-inputs.ts'

export function addLock(program: Command, context: CommandContext): void {
  program
    .command('lock')
    .description('resolve the packages of every target into atomixos.lock.json')
    .option('--update', 'take the newest versions of everything, not only what the definition changed')
    .option('--json', 'what changed, as JSON')
    .addHelpText(
      'after',
      `
Debian's own solver decides, on indices whose signatures it has checked. Without --update only targets whose
list of packages changed are resolved again, and versions stay where they can.

Examples:
  ./atomixos lock              after a change in system/
  ./atomixos lock --update     security updates
`,
    )
    .action((options: { update?: boolean; json?: boolean }) => runLock(context, options))
}

async function runLock(
  context: CommandContext,
  options: { update?: boolean; json?: boolean },
): Promise<void> {
  const { reporter } = context
  const inputs = await openInputs(context)
  for (const problem of lockProblems(inputs.lock, await currentDefinition(context))) {
    reporter.info(describeLockProblem(problem))
  }
  const { lock, changes } = await renewLock(context, inputs, { newest: options.update === true })
  if (lock === inputs.lock) {
    reporter.info(
      'atomixos.lock.json matches the definition; `./atomixos lock --update` takes newer versions',
    )
  } else if (changes.length === 0) reporter.info('no package changed')
  reporter.close()
  if (options.json) process.stdout.write(`${JSON.stringify(changes, null, 2)}\n`)
}
