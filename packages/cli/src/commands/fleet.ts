import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join, resolve } from 'node:path'
import { type DeviceState, deviceStates, fleetLimits } from '@atomixos/config'
import {
  type Device,
  FleetServerError,
  fingerprint,
  holdSession,
  issueCertificate,
  runSession,
  Store,
  sessionArguments,
  startFleetServer,
  waitForTunnel,
} from '@atomixos/fleet'
import { UserError } from '@atomixos/image/errors.ts'
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { CommandContext } from '../context.ts'
import { openFleetTools } from '../machine-tools.ts'

const portDefault = 8443

interface DirOption {
  readonly dir: string
  readonly json?: boolean
}

export function addFleet(program: Command, context: CommandContext): void {
  const fleet = program
    .command('fleet')
    .description('reach devices from far away: a small server, approval, sessions')
    .addHelpText(
      'after',
      `
Devices that were enrolled on purpose ask the server to be let in, and open a tunnel when a session is wanted.
docs/fleet.md tells how, and the protocol for other servers.

Examples:
  ./atomixos fleet serve --host fleet.example
  ./atomixos fleet devices
  ./atomixos fleet approve 02:00:5e:10:00:01
  ./atomixos fleet ssh 02:00:5e:10:00:01 --user alice
  ./atomixos fleet revoke 02:00:5e:10:00:01
`,
    )
  addServe(fleet, context)
  addDevices(fleet, context)
  addChange(fleet, context, {
    name: 'approve',
    description: 'let a device in: it takes certificates of this server, and opens tunnels to it',
    help: 'Compare the key with what `atomixctl fleet status` shows on the device: anybody can claim a MAC.',
    change: (store, id) => store.approve(id),
  })
  addChange(fleet, context, {
    name: 'revoke',
    description: 'shut a device out, for good; its tunnel ends within a second or two',
    help: 'A device that is to come back has to leave the fleet and enrol again.',
    change: (store, id) => store.revoke(id),
  })
  addChange(fleet, context, {
    name: 'forget',
    description: 'take a device that is not approved out of the inventory',
    help: 'A device that still asks to be let in comes back as pending.',
    change: (store, id) => {
      const device = store.get(id)!
      store.forget(id)
      return device
    },
  })
  addSsh(fleet, context)
}

function dirOption(command: Command): Command {
  return command.option('--dir <DIR>', 'what the server keeps: devices, keys, certificate', 'fleet-server')
}

function addServe(fleet: Command, context: CommandContext): void {
  const command = fleet
    .command('serve')
    .description('run the server: HTTPS for the devices, and an SSH door for their tunnels')
    .option(
      '--host <NAME>',
      'name or IPv4 address by which devices reach it; left out: the name of this machine',
    )
    .option('--port <N>', 'for HTTPS', parsePort, portDefault)
    .option('--tunnel-port <N>', 'for the tunnels; left out: the one after --port', parsePort)
    .option(
      '--heartbeat <SECONDS>',
      'how often devices ask; a session has to wait so long for its tunnel',
      parseHeartbeat,
      60,
    )
    .option(
      '--certificate <FILE>',
      'its TLS certificate with chain (PEM); left out: of an authority of its own',
    )
    .option('--key <FILE>', 'the private key of --certificate')
    .option('--json', 'once it listens, one line on standard output')
  dirOption(command)
    .addHelpText(
      'after',
      `
Needs no root, and Linux. Runs until Ctrl-C. The first start makes keys and an authority; devices are given the
authority's certificate, DIR/tls/authority.pem. Whoever has DIR can log in on every approved device: keep it safe.

Examples:
  ./atomixos fleet serve
  ./atomixos fleet serve --host fleet.example --port 443 --tunnel-port 22022 --dir /srv/fleet
  ./atomixos fleet serve --certificate fullchain.pem --key privkey.pem --heartbeat 300
`,
    )
    .action((options: ServeOptions) => translated(() => runServe(context, options)))
}

interface ServeOptions extends DirOption {
  readonly host?: string
  readonly port: number
  readonly tunnelPort?: number
  readonly heartbeat: number
  readonly certificate?: string
  readonly key?: string
}

async function runServe(context: CommandContext, options: ServeOptions): Promise<void> {
  const { reporter, signal } = context
  const host = (options.host ?? hostname()).toLowerCase()
  if (!/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/.test(host)) {
    throw new UserError(`"${host}" is no name and no IPv4 address`, { exitCode: 2 })
  }
  if ((options.certificate === undefined) !== (options.key === undefined)) {
    throw new UserError('--certificate and --key belong together', { exitCode: 2 })
  }
  const certificate =
    options.certificate === undefined
      ? undefined
      : { certificate: await readInput(options.certificate), key: await readInput(options.key!) }
  const programs = await openFleetTools(context)
  await using server = await startFleetServer({
    ...{ programs, dir: resolve(options.dir), host, heartbeatS: options.heartbeat },
    ...{ https: options.port, tunnels: options.tunnelPort ?? options.port + 1 },
    ...(certificate && { certificate }),
    log: (line) => reporter.info(`${new Date().toISOString()} ${line}`),
  })
  const { authorityPath } = server.certificate
  const url = `https://${host}${server.httpsPort === 443 ? '' : `:${server.httpsPort}`}`
  const facts = { url, tunnel_port: server.tunnelPort, authority: authorityPath ?? null }
  reporter.info(`${url} is open, tunnels come to port ${server.tunnelPort}; Ctrl-C ends it`)
  if (authorityPath !== undefined) {
    reporter.info(`on a device: atomixctl fleet enrol ${url} --ca FILE, with a copy of ${authorityPath}`)
  }
  if (options.json) process.stdout.write(`${JSON.stringify(facts)}\n`)
  if (!signal.aborted) await new Promise((done) => signal.addEventListener('abort', done, { once: true }))
}

async function readInput(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new UserError(`${path} can't be read (${cause.code})`, { exitCode: 2, cause })
  })
}

function addDevices(fleet: Command, context: CommandContext): void {
  const command = fleet
    .command('devices')
    .description('list devices with state, key and when they were heard of last')
    .addOption(new Option('--state <STATE>', 'only these').choices(deviceStates))
    .option('--json', 'as JSON')
  dirOption(command)
    .addHelpText(
      'after',
      `
Examples:
  ./atomixos fleet devices
  ./atomixos fleet devices --state pending --json | jq -r '.[].id'
`,
    )
    .action((options: DirOption & { state?: DeviceState }) =>
      translated(async () => {
        using store = openStore(options)
        const devices = store.list().filter(({ state }) => (options.state ?? state) === state)
        context.reporter.close()
        process.stdout.write(
          options.json
            ? `${JSON.stringify(devices.map(facts), null, 2)}\n`
            : devices.map((device) => describeDevice(device, Date.now())).join(''),
        )
      }),
    )
}

function addChange(
  fleet: Command,
  context: CommandContext,
  spec: {
    readonly name: string
    readonly description: string
    readonly help: string
    readonly change: (store: Store, id: string) => Device
  },
): void {
  const command = fleet
    .command(spec.name)
    .description(spec.description)
    .argument('<device>', 'its id, or its MAC')
    .option('--json', 'the device, on standard output')
  dirOption(command)
    .addHelpText(
      'after',
      `
${spec.help}

Examples:
  ./atomixos fleet ${spec.name} 02:00:5e:10:00:01
  ./atomixos fleet ${spec.name} 6f1a2b3c4d5e6f70 --dir /srv/fleet
`,
    )
    .action((name: string, options: DirOption) =>
      translated(async () => {
        using store = openStore(options)
        const device = spec.change(store, store.find(name).id)
        context.reporter.close()
        process.stdout.write(
          options.json ? `${JSON.stringify(facts(device), null, 2)}\n` : describeDevice(device, Date.now()),
        )
      }),
    )
}

interface SshOptions extends DirOption {
  readonly user: string
  readonly valid: number
  readonly wait: number
}

function addSsh(fleet: Command, context: CommandContext): void {
  const command = fleet
    .command('ssh')
    .description('a session on a device, as one of its administrators, through its tunnel')
    .argument('<device>', 'its id, or its MAC')
    .argument('[command...]', 'run this instead of a shell; after --')
    .requiredOption('--user <NAME>', "an administrator of the device's configuration")
    .option('--valid <SECONDS>', 'within which the login has to happen', parseValidity, 120)
    .option('--wait <SECONDS>', 'for the tunnel', parseWait, 180)
  dirOption(command)
    .addHelpText(
      'after',
      `
For the machine of the server. Asks the device for its tunnel, makes a key with a certificate for this one account on this
one device, and throws both away in the end. A session that is open stays open when the certificate has expired. The
device is known by the host key that it was approved with. Exit code: that of the command.

Examples:
  ./atomixos fleet ssh 02:00:5e:10:00:01 --user alice
  ./atomixos fleet ssh 02:00:5e:10:00:01 --user alice -- atomixctl status
`,
    )
    .action((name: string, words: string[], options: SshOptions) =>
      translated(() => runSsh(context, name, words, options)),
    )
}

async function runSsh(
  context: CommandContext,
  name: string,
  command: readonly string[],
  options: SshOptions,
): Promise<void> {
  const { reporter, signal } = context
  using store = openStore(options)
  const { id } = store.find(name)
  const programs = await openFleetTools(context)
  using _ = holdSession(store, id)
  const waiting = reporter.task(`wait for the tunnel of ${id}`)
  const timeoutMs = options.wait * 1000
  const device = await waitForTunnel(store, id, { timeoutMs, signal }).catch((error) => {
    waiting.failed()
    throw error
  })
  waiting.done()
  await using certificate = await issueCertificate(programs, {
    ...{ dir: resolve(options.dir), store, device },
    ...{ user: options.user, validS: options.valid, nowMs: Date.now() },
  })
  reporter.close()
  const args = await sessionArguments(device, certificate, { user: options.user, command })
  process.exitCode = await runSession(programs, args)
}

/** A folder that no server has used is a typing error, not an empty fleet. */
function openStore({ dir }: DirOption): Store {
  if (!existsSync(join(dir, 'fleet.db'))) {
    throw new UserError(`${dir} is not the folder of a fleet server`, {
      hint: 'name it with --dir, as `./atomixos fleet serve` was given it',
      exitCode: 2,
    })
  }
  return new Store(dir)
}

function facts(device: Device) {
  const { id, mac, publicKey, state, version, createdMs, seenMs, tunnel, port } = device
  return {
    ...{ id, mac, state, key: fingerprint(publicKey), version, tunnel, port: port ?? null },
    registered: new Date(createdMs).toISOString(),
    seen: new Date(seenMs).toISOString(),
  }
}

function describeDevice(device: Device, nowMs: number): string {
  const { id, mac, state, publicKey, version, seenMs, tunnel } = device
  const address = mac.match(/../g)!.join(':')
  const seconds = Math.max(0, Math.round((nowMs - seenMs) / 1000))
  const ago =
    seconds < 120
      ? `${seconds} s`
      : seconds < 7200
        ? `${Math.round(seconds / 60)} min`
        : `${Math.round(seconds / 3600)} h`
  return `${address}  ${id}  ${state.padEnd(8)}  ${version.padEnd(10)}  tunnel ${tunnel.padEnd(4)}  seen ${ago} ago  ${fingerprint(publicKey)}\n`
}

/** What the server's part has to say, as the command line says it. */
async function translated(work: () => Promise<void>): Promise<void> {
  // Whatever is made here is for the server's operator alone.
  process.umask(0o077)
  try {
    await work()
  } catch (error) {
    if (!(error instanceof FleetServerError)) throw error
    const { message, hint } = error
    throw new UserError(message, { ...(hint !== undefined && { hint }), cause: error })
  }
}

const parsePort = wholeNumber(1, 65_534)
const parseHeartbeat = wholeNumber(fleetLimits.heartbeatS.min, fleetLimits.heartbeatS.max)
const parseValidity = wholeNumber(5, 3600)
const parseWait = wholeNumber(1, 7200)

function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (/^\d+$/.test(text) && value >= min && value <= max) return value
    throw new InvalidArgumentError(`it is a whole number from ${min} to ${max}`)
  }
}
