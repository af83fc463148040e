/** `atomixctl`: what a person on the console or over SSH asks the device, and what units of the system run. */

import { UsageError, usageErrorName } from './usage-error.ts'

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
  atomixctl factory-reset         everything on /data goes at the restart that follows; asks first
  atomixctl watchdog on|off       the hardware watchdog, from the next start on

  --confirm SECONDS               with config apply: goes back by itself unless it is confirmed in time
  --keep-files                    with config apply: a config.toml alone leaves files/ as it is
  --json                          with status, version, events, update check and label, config, fleet status: for a program
  --no-restart                    with update install, factory-reset: it waits for the next start
  --yes                           with factory-reset: does not ask
  --cancel                        with factory-reset: one that waits for the next start is called off
  --allow-older                   with update install: take an older version, or one that was given up

Exit codes: 0 done, 1 failed, 2 the arguments are wrong.
`

type Command = (args: readonly string[], options: ReadonlySet<string>) => Promise<number>

interface CommandEntry {
  /** Loads what the command needs and nothing else: a start of all modules takes longer than most commands do. */
  readonly load: () => Promise<Command>
  readonly options?: readonly string[]
  /** Options with a value: a command is given `--confirm=300`, however it was written. */
  readonly values?: readonly string[]
}

const commands: Readonly<Record<string, CommandEntry>> = {
  status: {
    load: async () => {
      const { status } = await import('./commands/status.ts')
      return (_, options) => status(options.has('--json'))
    },
    options: ['--json'],
  },
  version: {
    load: async () => {
      const { version } = await import('./commands/status.ts')
      return (_, options) => version(options.has('--json'))
    },
    options: ['--json'],
  },
  events: {
    load: async () => {
      const { events } = await import('./commands/events.ts')
      return (_, options) => events(options.has('--json'))
    },
    options: ['--json'],
  },
  update: {
    load: async () => (await import('./commands/update.ts')).update,
    options: ['--json', '--no-restart', '--allow-older'],
  },
  config: {
    load: async () => (await import('./commands/config.ts')).config,
    options: ['--json', '--keep-files'],
    values: ['--confirm'],
  },
  network: { load: async () => (await import('./commands/network.ts')).network },
  fleet: {
    load: async () => (await import('./commands/fleet.ts')).fleet,
    options: ['--json', '--ca'],
  },
  'factory-reset': {
    load: async () => (await import('./commands/factory-reset.ts')).factoryReset,
    options: ['--yes', '--no-restart', '--cancel'],
  },
  report: { load: async () => (await import('./commands/report.ts')).report },
  watchdog: { load: async () => (await import('./commands/watchdog.ts')).watchdog },
  // For units and RAUC.
  activate: { load: async () => (await import('./commands/activate.ts')).activate },
  'apply-job': {
    load: async () => (await import('./commands/apply-job.ts')).applyJob,
    options: ['--ended'],
  },
  provision: { load: async () => (await import('./commands/provision.ts')).provision },
  'recover-config': {
    load: async () => (await import('./commands/recover-config.ts')).recoverConfig,
  },
  verify: { load: async () => (await import('./commands/verify.ts')).verify },
  'usb-update': { load: async () => (await import('./commands/usb-update.ts')).usbUpdate },
  'api-front': {
    load: async () => {
      const { apiFront } = await import('./commands/api-front.ts')
      return () => apiFront(process.env)
    },
  },
  'config-worker': {
    load: async () => {
      const { configWorker } = await import('./commands/config-worker.ts')
      return () => configWorker(process.env)
    },
  },
  'rauc-pre-install': {
    load: async () => {
      const { raucPreInstall } = await import('./commands/rauc-pre-install.ts')
      return () => raucPreInstall(process.env)
    },
  },
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
  const run = await command.load()
  return run(args, options)
}

// No top-level await: the bundle is CommonJS.
main(process.argv.slice(2))
  .catch((error: Error) => {
    process.stderr.write(`atomixctl: ${error.message}\n`)
    // Of a command's own bundle, which has this class once more.
    if (error.name !== usageErrorName) return 1
    process.stderr.write('  run "atomixctl help" for what there is\n')
    return 2
  })
  .then((exitCode) => {
    process.exitCode = exitCode
  })
