/** `atomixctl`: what a person on the console or over SSH asks the device, and what units of the system run. */

import { activate } from './commands/activate.ts'
import { apiFront } from './commands/api-front.ts'
import { configWorker } from './commands/config-worker.ts'
import { events } from './commands/events.ts'
import { network } from './commands/network.ts'
import { raucPreInstall } from './commands/rauc-pre-install.ts'
import { status, version } from './commands/status.ts'
import { update } from './commands/update.ts'
import { verify } from './commands/verify.ts'
import { watchdog } from './commands/watchdog.ts'
import { UsageError } from './usage-error.ts'

const help = `Shows the state of this device, and updates it.

  atomixctl status                what runs, both slots, data, failed units, on one screen
  atomixctl version               the version of the running system, one line
  atomixctl events                what happened: starts, updates, confirmations, rollbacks
  atomixctl update check          ask the update server, say what would be done
  atomixctl update poll           ask the update server and do it; the timer os-upgrade.timer does this
  atomixctl update install FILE   install a signed bundle (.raucb) by hand, then restart
  atomixctl update label          what roll-outs may call this device; "add NAME" and "remove NAME" change it
  atomixctl network reload        networks and firewall as the configuration and ssh-wan-enabled say now
  atomixctl watchdog on|off       the hardware watchdog, from the next start on

  --json                          with status, version, events, update check and label: for a program
  --no-restart                    with update install: the new version waits for the next start
  --allow-older                   with update install: take an older version, or one that was given up

Exit codes: 0 done, 1 failed, 2 the arguments are wrong.
`

type Command = (args: readonly string[], options: ReadonlySet<string>) => Promise<number>

interface CommandEntry {
  readonly run: Command
  readonly options?: readonly string[]
}

const commands: Readonly<Record<string, CommandEntry>> = {
  status: { run: (_, options) => status(options.has('--json')), options: ['--json'] },
  version: { run: (_, options) => version(options.has('--json')), options: ['--json'] },
  events: { run: (_, options) => events(options.has('--json')), options: ['--json'] },
  update: { run: update, options: ['--json', '--no-restart', '--allow-older'] },
  network: { run: network },
  watchdog: { run: watchdog },
  // For units and RAUC.
  activate: { run: activate },
  verify: { run: verify },
  'api-front': { run: () => apiFront(process.env) },
  'config-worker': { run: () => configWorker(process.env) },
  'rauc-pre-install': { run: () => raucPreInstall(process.env) },
}

async function main(argv: readonly string[]): Promise<number> {
  const [name = 'help', ...rest] = argv
  if (['help', '--help', '-h'].includes(name) || rest.includes('--help')) {
    process.stdout.write(help)
    return 0
  }
  const options = new Set(rest.filter((argument) => argument.startsWith('-')))
  const args = rest.filter((argument) => !argument.startsWith('-'))
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (command === undefined) throw new UsageError(`unknown command "${name}"`)
  for (const option of options) {
    if (!command.options?.includes(option)) throw new UsageError(`"${name}" has no option ${option}`)
  }
  return command.run(args, options)
}

// No top-level await: the bundle is CommonJS.
main(process.argv.slice(2))
  .catch((error: Error) => {
    process.stderr.write(`atomixctl: ${error.message}\n`)
    if (!(error instanceof UsageError)) return 1
    process.stderr.write('  run "atomixctl help" for what there is\n')
    return 2
  })
  .then((exitCode) => {
    process.exitCode = exitCode
  })
