import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import {
  configFolder,
  fleetFolder,
  fleetRuntimePaths,
  fleetSettingsPath,
  fleetUnit,
  isPem,
  oneLine,
  parseFleetSettings,
  parseServerUrl,
  renderFleetSettings,
} from '@atomixos/config'
import { readOptional, writeDurably } from '../durable-file.ts'
import type { AgentStatus } from '../fleet/agent.ts'
import { identityPaths } from '../fleet/identity.ts'
import { runAgent } from '../fleet/run-agent.ts'
import { lastLine, runProgram } from '../run-program.ts'
import { readSystemFacts } from '../system-facts.ts'
import { UsageError } from '../usage-error.ts'

export async function fleet(args: readonly string[], options: ReadonlySet<string>): Promise<number> {
  const [action, ...rest] = args
  if (options.has('--ca') !== (action === 'enrol' && rest.length === 2)) throw usage()
  if (action === 'enrol' && rest.length > 0 && rest.length <= 2) return enrol(rest)
  if (rest.length > 0) throw usage()
  if (action === 'status') return status(options.has('--json'))
  if (action === 'leave') return leave()
  if (action === 'run') return run()
  throw usage()
}

function usage(): UsageError {
  return new UsageError('say "fleet enrol URL --ca FILE", "fleet status" or "fleet leave"')
}

async function enrol(rest: readonly string[]): Promise<number> {
  const [first, second] = rest
  const [url, file] = second?.startsWith('https:') ? [second, first] : [first!, second]
  const serverUrl = parseServerUrl(url!)
  const authority = file === undefined ? undefined : await readAuthority(file)
  const before = await readOptional(fleetSettingsPath)
  if (before !== undefined && serverOf(before) !== serverUrl) {
    throw new Error(
      `this device is enrolled with ${serverOf(before) ?? 'a server that cannot be read'}; run "atomixctl fleet leave" first`,
    )
  }
  await writeDurably(fleetSettingsPath, renderFleetSettings({ serverUrl, authority }))
  await systemctl('restart')
  process.stdout.write(
    `this device asks ${serverUrl} to be let in; "atomixctl fleet status" shows the key that its operator has to see\n`,
  )
  return 0
}

async function readAuthority(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new Error(`${file} can't be read (${error.code})`)
  })
  if (!isPem(text)) throw new Error(`${file} is no certificate (PEM), or has a private key in it`)
  // Judged as it will be when the service reads it.
  parseFleetSettings(renderFleetSettings({ serverUrl: 'https://x', authority: text }))
  return text
}

function serverOf(text: string): string | undefined {
  try {
    return parseFleetSettings(text).serverUrl
  } catch {
    return undefined
  }
}

async function leave(): Promise<number> {
  await rm(fleetSettingsPath, { force: true })
  await runProgram(['/usr/bin/sync', '-f', configFolder], { timeoutMs: 60_000 })
  await systemctl('stop')
  for (const path of Object.values(identityPaths(fleetFolder))) await rm(path, { force: true })
  process.stdout.write('this device belongs to no fleet; its key and token are gone\n')
  return 0
}

async function systemctl(action: 'restart' | 'stop'): Promise<void> {
  const result = await runProgram(['/usr/bin/systemctl', action, fleetUnit], { timeoutMs: 60_000 })
  if (result.exitCode !== 0) throw new Error(`systemctl ${action} ${fleetUnit}: ${lastLine(result)}`)
}

async function status(json: boolean): Promise<number> {
  const settings = await readOptional(fleetSettingsPath)
  const publicKeyPath = identityPaths(fleetFolder).publicKey
  const printed = await runProgram(['/usr/bin/ssh-keygen', '-l', '-f', publicKeyPath], { timeoutMs: 30_000 })
  const fingerprint = / (SHA256:\S+) /.exec(printed.stdout)?.[1]
  const seen = parseStatus(await readOptional(fleetRuntimePaths.status))
  const facts = { enrolled: settings !== undefined, fingerprint, ...seen }
  process.stdout.write(json ? `${JSON.stringify(facts, null, 2)}\n` : render(facts))
  return 0
}

type ShownStatus = {
  readonly enrolled: boolean
  readonly fingerprint: string | undefined
} & Partial<AgentStatus>

function render({ enrolled, fingerprint, ...seen }: ShownStatus): string {
  if (!enrolled) return 'this device belongs to no fleet\n'
  const lines = [
    ['server', seen.server_url],
    ['key', fingerprint],
    ['id', seen.id],
    ['state', seen.state ?? 'the server has not answered since the start'],
    ['tunnel', seen.tunnel],
    ['last answer', seen.last_answer],
    ['problem', seen.problem],
  ] as const
  return lines
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name.padEnd(12)} ${oneLine(value!, 300)}\n`)
    .join('')
}

function parseStatus(text: string | undefined): Partial<AgentStatus> {
  try {
    return JSON.parse(text ?? '{}') as AgentStatus
  } catch {
    return {}
  }
}

/** The unit's: systemd hands it what only root may read. */
async function run(): Promise<number> {
  const credentials = process.env.CREDENTIALS_DIRECTORY
  if (credentials === undefined) throw new UsageError(`"fleet run" is for ${fleetUnit}`)
  const stop = new AbortController()
  process.once('SIGTERM', () => stop.abort())
  await runAgent({
    settings: await readFile(join(credentials, 'settings'), 'utf8'),
    hostKey: await readFile(join(credentials, 'host-key'), 'utf8'),
    version: (await readSystemFacts()).version,
    folder: fleetFolder,
    runtime: fleetRuntimePaths,
    programs: { ssh: ['/usr/bin/ssh'], sshKeygen: ['/usr/bin/ssh-keygen'] },
    say: (line) => void process.stdout.write(`${line}\n`),
    signal: stop.signal,
  })
  return 0
}
