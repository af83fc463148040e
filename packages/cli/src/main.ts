/** The command line: arguments in; text, JSON and exit codes out. Each command is a file in `commands/`. */
import { UserError } from '@atomixos/image/errors.ts'
import { Command, CommanderError } from 'commander'
import { addBench } from './commands/bench.ts'
import { addBuild } from './commands/build.ts'
import { addBundle } from './commands/bundle.ts'
import { addCampaign } from './commands/campaign.ts'
import { addCheck } from './commands/check.ts'
import { addClean } from './commands/clean.ts'
import { addE2e } from './commands/e2e.ts'
import { addFeed } from './commands/feed.ts'
import { addKeys } from './commands/keys.ts'
import { addLock } from './commands/lock.ts'
import { addTest } from './commands/test.ts'
import { addVerifyReproducible } from './commands/verify-reproducible.ts'
import { addVm } from './commands/vm.ts'
import { createContext, Interrupted } from './context.ts'
import { OutputFailed } from './output-failure.ts'

const context = createContext()

const program = new Command('atomixos')
  .description('Builds AtomixOS, boots it and tests it.')
  .usage('COMMAND [OPTIONS]')
  .helpCommand(false)
  .addHelpText(
    'beforeAll',
    `Examples:
  ./atomixos build                   everything for the Rock64 into dist/rock64/
  ./atomixos vm                      boot what was built, serial console in this terminal
  ./atomixos test                    every check and test there is
`,
  )
  .showSuggestionAfterError()
  .exitOverride()

program.commandsGroup('Build:')
addBuild(program, context)
addCheck(program, context)
addLock(program, context)
addVerifyReproducible(program, context)
program.commandsGroup('Updates:')
addBundle(program, context)
addFeed(program, context)
addKeys(program, context)
program.commandsGroup('Run and test:')
addVm(program, context)
addE2e(program, context)
addTest(program, context)
addCampaign(program, context)
addBench(program, context)
program.commandsGroup('Housekeeping:')
addClean(program, context)

process.exitCode = await main(process.argv.slice(2))
// Whatever still holds the event loop (an aborted download's socket, say) must not hold the person.
if (context.signal.aborted) process.exit()

async function main(args: readonly string[]): Promise<number> {
  if (args.length === 0) {
    program.outputHelp()
    return 0
  }
  try {
    await program.parseAsync([...args], { from: 'user' })
    return Number(process.exitCode ?? 0)
  } catch (error) {
    context.reporter.close()
    const stoppedBy = context.signal.reason
    if (stoppedBy instanceof OutputFailed) return stoppedBy.exitCode
    if (context.signal.aborted || error instanceof Interrupted) {
      process.stderr.write('atomixos: interrupted\n')
      return 130
    }
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    if (error instanceof UserError) {
      process.stderr.write(`atomixos: ${error.message}\n`)
      if (error.hint) process.stderr.write(`  ${error.hint.replaceAll('\n', '\n  ')}\n`)
      return error.exitCode
    }
    const reason = error instanceof Error ? (error.stack ?? error.message) : String(error)
    process.stderr.write(`atomixos: unexpected failure, please report it with this text:\n${reason}\n`)
    return 1
  }
}
