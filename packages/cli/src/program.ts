import { Command } from 'commander'
import { addBench } from './commands/bench.ts'
import { addBuild } from './commands/build.ts'
import { addBundle } from './commands/bundle.ts'
import { addCampaign } from './commands/campaign.ts'
import { addCheck } from './commands/check.ts'
import { addClean } from './commands/clean.ts'
import { addConfig } from './commands/config.ts'
import { addDevice } from './commands/device.ts'
import { addDocs } from './commands/docs.ts'
import { addE2e } from './commands/e2e.ts'
import { addEvents } from './commands/events.ts'
import { addFeed } from './commands/feed.ts'
import { addFlash } from './commands/flash.ts'
import { addFleet } from './commands/fleet.ts'
import { addKeys } from './commands/keys.ts'
import { addLock } from './commands/lock.ts'
import { addSerial } from './commands/serial.ts'
import { addTest } from './commands/test.ts'
import { addVerifyReproducible } from './commands/verify-reproducible.ts'
import { addVm } from './commands/vm.ts'
import type { CommandContext } from './context.ts'
import { addLimaOptions } from './lima/in-lima.ts'

/** They run locked programs of Debian. The others work on macOS as well. */
const needsLinux = new Set([
  ...['build', 'check', 'lock', 'verify-reproducible'],
  ...['vm', 'e2e', 'test', 'campaign', 'bench'],
])

/** Every command with its arguments and options: what runs, what `--help` says, and what the docs are checked against. */
export function createProgram(context: CommandContext): Command {
  const program = new Command('atomixos')
    .description('Builds AtomixOS, boots it, tests it and puts it onto devices.')
    .usage('COMMAND [OPTIONS]')
    .helpCommand(false)
    .addHelpText(
      'beforeAll',
      `Examples:
  ./atomixos build                   everything for the Rock64 into dist/rock64/
  ./atomixos vm                      boot what was built, serial console in this terminal
  ./atomixos flash /dev/sdb          write it to a card, and read it back
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
  program.commandsGroup('Devices:')
  addConfig(program, context)
  addDevice(program, context)
  addFlash(program, context)
  addFleet(program, context)
  addSerial(program, context)
  addEvents(program, context)
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
  addDocs(program, context)
  addClean(program, context)
  for (const command of program.commands) {
    if (needsLinux.has(command.name())) addLimaOptions(command, context)
  }
  return program
}
