/** `atomixctl`: what a person on the console or over SSH asks the device, and what units of the system run. */

import { activate } from './commands/activate.ts'
import { apiFront } from './commands/api-front.ts'
import { applyJob } from './commands/apply-job.ts'
import { config } from './commands/config.ts'
import { configWorker } from './commands/config-worker.ts'
import { events } from './commands/events.ts'
import { fleet } from './commands/fleet.ts'
import { network } from './commands/network.ts'
import { provision } from './commands/provision.ts'
import { raucPreInstall } from './commands/rauc-pre-install.ts'
import { recoverConfig } from './commands/recover-config.ts'
import { report } from './commands/report.ts'
import { status, version } from './commands/status.ts'
import { update } from './commands/update.ts'
import { usbUpdate } from './commands/usb-update.ts'
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
  atomixctl config show           the configuration that is active, as it was written
  atomixctl config diff FILE      what a config.toml or a bundle would change, key by key
  atomixctl config apply FILE     apply it; takes itself back when its containers do not come up
  atomixctl config confirm        the device is still reached: what was applied with --confirm stays
  atomixctl config rollback       it does not: the configuration before comes back at once
  atomixctl config status [JOB]   how applying goes, or how it went the last time
  atomixctl network reload        networks and firewall as the configuration and ssh-wan-enabled say now
  atomixctl fleet enrol URL --ca FILE  ask a fleet server to be let in; FILE: its authority (PEM)
  atomixctl fleet status          what the fleet server has said, and the key that its operator compares
  atomixctl fleet leave           forget the fleet, with key and token
  atomixctl report [FILE|-]       what this device can tell about itself, without secrets, for somebody who helps
  atomixctl watchdog on|off       the hardware watchdog, from the next start on

  --confirm SECONDS               with config apply: goes back by itself unless it is confirmed in time
  --keep-files                    with config apply: a config.toml alone leaves files/ as it is
  --json                          with status, version, events, update check and label, config, fleet status: for a program
  --no-restart                    with update install: the new version waits for the next start
  --allow-older                   with update install: take an older version, or one that was given up

Exit codes: 0 done, 1 failed, 2 the arguments are wrong.
`

type Command = (args: readonly string[], options: ReadonlySet<string>) => Promise<number>

interface CommandEntry {
  readonly run: Command
  readonly options?: readonly string[]
  /** Options with a value: a command is given `--confirm=300`, however it was written. */
  readonly values?: readonly string[]
}

const commands: Readonly<Record<string, CommandEntry>> = {
  status: { run: (_, options) => status(options.has('--json')), options: ['--json'] },
  version: { run: (_, options) => version(options.has('--json')), options: ['--json'] },
  events: { run: (_, options) => events(options.has('--json')), options: ['--json'] },
  update: { run: update, options: ['--json', '--no-restart', '--allow-older'] },
  config: { run: config, options: ['--json', '--keep-files'], values: ['--confirm'] },
  network: { run: network },
  fleet: { run: fleet, options: ['--json', '--ca'] },
  report: { run: report },
  watchdog: { run: watchdog },
  // For units and RAUC.
  activate: { run: activate },
  'apply-job': { run: applyJob, options: ['--ended'] },
  provision: { run: provision },
  'recover-config': { run: recoverConfig },
  verify: { run: verify },
  'usb-update': { run: usbUpdate },
  'api-front': { run: () => apiFront(process.env) },
  'config-worker': { run: () => configWorker(process.env) },
  'rauc-pre-install': { run: () => raucPreInstall(process.env) },
}

/** A single - is standard output. */
function isOption(argument: string): boolean {
  return argument.startsWith('-') && argument !== '-'
}

async function main(argv: readonly string[]): Promise<number> {
  const [name = 'help', ...rest] = argv
  if (['help', '--help', '-h'].includes(name) || rest.includes('--help')) {
    process.stdout.write(help)
    return 0
  }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (command === undefined) throw new UsageError(`unknown command "${name}"`)
  const options = new Set<string>()
  const args: string[] = []
  for (let index = 0; index < rest.length; index += 1) {
    const argument = rest[index]!
    const [option = ''] = argument.split('=', 1)
    if (!isOption(argument)) args.push(argument)
    else if (command.values?.includes(option)) {
      const value = argument === option ? rest[++index] : argument.slice(option.length + 1)
      if (value === undefined) throw new UsageError(`${option} needs a value`)
      options.add(`${option}=${value}`)
    } else if (command.options?.includes(argument)) options.add(argument)
    else throw new UsageError(`"${name}" has no option ${argument}`)
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
