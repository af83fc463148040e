/** The command line: arguments in; text, JSON and exit codes out. `program.ts` joins the commands, a file each in `commands/`. */
import { UserError } from '@atomixos/image/errors.ts'
import { CommanderError } from 'commander'
import { createContext, Interrupted } from './context.ts'
import { RanInVm } from './lima/in-lima.ts'
import { OutputFailed } from './output-failure.ts'
import { createProgram } from './program.ts'

const context = createContext()
const program = createProgram(context)

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
    if (error instanceof RanInVm) return error.exitCode
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
