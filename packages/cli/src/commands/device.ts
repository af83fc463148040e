import {
  type AcceptedDocument,
  confirmSecondsMax,
  type EventsDocument,
  type HealthDocument,
  type JobDocument,
  type StatusDocument,
} from '@atomixos/config/api/index.ts'
import { UserError } from '@atomixos/image/errors.ts'
import { describeBytes } from '@atomixos/image/flash/disk.ts'
import { type Command, InvalidArgumentError } from 'commander'
import { showProblems } from '../config/show-problems.ts'
import { confirm } from '../confirm.ts'
import type { CommandContext } from '../context.ts'
import { DeviceClient, DeviceRefused, DeviceSilent } from '../device/device-client.ts'
import { followJob } from '../device/follow-job.ts'
import { readUpload } from '../device/read-upload.ts'
import { refuseExisting, reportName, type SavedReport, saveReport } from '../device/save-report.ts'
import { findSigningKeys } from '../device/sign-request.ts'

interface DeviceOptions {
  readonly host: string
  readonly key?: string
  readonly json?: boolean
}

interface ApplyOptions extends DeviceOptions {
  readonly claim?: string
  readonly confirm?: number
  readonly keepFiles?: boolean
  readonly yes?: boolean
}

interface ReportOptions extends DeviceOptions {
  readonly output?: string
  readonly force?: boolean
}

export function addDevice(program: Command, context: CommandContext): void {
  const device = program
    .command('device')
    .description('configure a running device, and ask it how it is')
    .addHelpText(
      'after',
      `
Changes are signed with an administrator's SSH key: that of --key, else one of the ssh-agent, else one in ~/.ssh.
docs/api.md has the same with curl and ssh-keygen.

Examples:
  ./atomixos device apply config.toml --host 172.20.30.1
  ./atomixos device apply site/ --host 172.20.30.1 --key ~/.ssh/id_ed25519
  ./atomixos device status --host 172.20.30.1
  ./atomixos device report --host 172.20.30.1
`,
    )
  addApply(device, context)
  addConfirm(device, context)
  addStatus(device, context)
  addLogs(device, context)
  addReport(device, context)
}

function asking(command: Command): Command {
  return command
    .requiredOption('--host <ADDRESS>', "the device's address or name in its LAN, with or without port")
    .option('--key <FILE>', "an administrator's private key")
    .option('--json', 'the result as JSON')
}

function addApply(device: Command, context: CommandContext): void {
  asking(
    device
      .command('apply')
      .description('send a configuration, and watch it take effect')
      .argument('<file>', 'a config.toml, a bundle, or a folder of config.toml and files/'),
  )
    .option('--claim <CODE>', "of the device's boot partition, for its first configuration")
    .option(
      '--confirm <SECONDS>',
      'go back by itself unless confirmed within that time; 0: never',
      parseSeconds,
    )
    .option('--keep-files', 'with a config.toml: the files/ that the device has stay')
    .option('-y, --yes', 'confirm a change that waits for it, if the device still answers')
    .addHelpText(
      'after',
      `
It is checked here first, then by the device; nothing changes if anything is wrong. Changes of addresses, the firewall or
administrators' keys wait for a confirmation, and go back by themselves without one.

Exit codes: 0 it is active, 1 it is not, 2 it could not be sent.

Examples:
  ./atomixos device apply config.toml --host 172.20.30.1
  ./atomixos device apply site/ --host 172.20.30.1 --confirm 120
  ./atomixos device apply config.toml --host 192.0.2.7 --claim mango-42-river
`,
    )
    .action((file: string, options: ApplyOptions) => telling(options, () => apply(context, file, options)))
}

function addConfirm(device: Command, context: CommandContext): void {
  asking(
    device
      .command('confirm')
      .description('keep a change that waits for its confirmation')
      .argument('[job]', 'its id'),
  )
    .addHelpText('after', '\nExamples:\n  ./atomixos device confirm --host 172.20.30.1\n')
    .action((id: string | undefined, options: DeviceOptions) =>
      telling(options, async () => {
        const client = clientOf(context, options)
        const waiting = id ?? (await client.askSigned<StatusDocument>({ path: '/api/status' })).job?.job_id
        if (waiting === undefined) throw new UserError('nothing waits for a confirmation')
        show(options, await confirmJob(client, waiting), renderEnd)
      }),
    )
}

function addStatus(device: Command, context: CommandContext): void {
  asking(device.command('status').description('which version it runs, and what it is doing'))
    .addHelpText('after', '\nExamples:\n  ./atomixos device status --host 172.20.30.1 --json\n')
    .action((options: DeviceOptions) =>
      telling(options, async () => {
        const client = clientOf(context, options)
        const health = await client.health()
        const status = health.provisioned
          ? await client.askSigned<StatusDocument>({ path: '/api/status' })
          : health
        show(options, status, renderStatus)
      }),
    )
}

function addLogs(device: Command, context: CommandContext): void {
  asking(device.command('logs').description('what has happened to it: starts, updates, configurations'))
    .addHelpText('after', '\nExamples:\n  ./atomixos device logs --host 172.20.30.1\n')
    .action((options: DeviceOptions) =>
      telling(options, async () => {
        const client = clientOf(context, options)
        show(options, await client.askSigned<EventsDocument>({ path: '/api/events' }), renderEvents)
      }),
    )
}

function addReport(device: Command, context: CommandContext): void {
  asking(
    device
      .command('report')
      .description('fetch what somebody needs who helps: logs and states, without secrets'),
  )
    .option('-o, --output <FILE>', 'where to; left out: report-HOST-TIME.tar.gz in this folder')
    .option('-f, --force', 'replace a file of that name')
    .addHelpText(
      'after',
      `
The device takes up to two minutes for it, and changes nothing. left-out.txt in the archive says what is not in it and from
where something was taken out: look before you pass it on. docs/logs.md has the details.

Examples:
  ./atomixos device report --host 172.20.30.1
  ./atomixos device report --host 172.20.30.1 --output gateway-7.tar.gz
`,
    )
    .action((options: ReportOptions) =>
      telling(options, async () => {
        const client = clientOf(context, options)
        const force = options.force === true
        const file = options.output ?? reportName(client.address, new Date())
        await refuseExisting(file, force)
        const saved = await saveReport(client, file, { reporter: context.reporter, force })
        context.reporter.close()
        show(options, saved, renderReport)
      }),
    )
}

function clientOf({ signal }: CommandContext, { host, key }: DeviceOptions): DeviceClient {
  return new DeviceClient(host, () => findSigningKeys(key, signal), signal)
}

async function apply(context: CommandContext, file: string, options: ApplyOptions): Promise<void> {
  const { reporter, signal } = context
  const upload = await readUpload(file)
  const client = clientOf(context, options)
  const { provisioned } = await client.health()
  const query = [
    ...(options.confirm === undefined ? [] : [`confirm=${options.confirm}`]),
    ...(options.keepFiles ? ['keep_files=true'] : []),
  ].join('&')
  const request = {
    method: 'POST',
    path: `/api/config${query === '' ? '' : `?${query}`}`,
    body: upload.bytes,
    mediaType: upload.mediaType,
    claim: options.claim,
  } as const
  const sending = reporter.task(`send ${file}`)
  let accepted: AcceptedDocument
  try {
    accepted = provisioned ? await client.askSigned(request) : await client.ask(request)
  } catch (error) {
    sending.failed()
    if (error instanceof DeviceRefused && error.document.problems !== undefined && !options.json) {
      process.stderr.write(showProblems(file, upload.text ?? '', error.document.problems))
    }
    throw error
  }
  sending.done()
  let job = await followJob(client, accepted.job_url, { reporter, signal })
  if (job.state === 'waiting-for-confirmation' && (options.yes || process.stdin.isTTY)) {
    if (!options.yes) {
      const question = `Everything runs. Type yes to keep it (until ${job.confirm_before ?? 'soon'}): `
      await confirm({ question, answer: 'yes', option: '--yes' }, signal)
    }
    job = await confirmJob(client, job.job_id)
  }
  reporter.close()
  show(options, job, (ended) => renderEnd(ended, client.address))
  if (job.state === 'failed') process.exitCode = 1
}

async function confirmJob(client: DeviceClient, id: string): Promise<JobDocument> {
  return client.askSigned<JobDocument>({
    method: 'POST',
    path: `/api/jobs/${encodeURIComponent(id)}/confirm`,
  })
}

/** What the device or the network has against it, in words. */
async function telling({ host, json }: DeviceOptions, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (error instanceof DeviceSilent) {
      throw new UserError(`${host} does not answer: ${error.message}`, {
        hint: 'it answers in its LAN, and on the WAN only before its first configuration; look at address and cable',
        exitCode: 2,
        cause: error,
      })
    }
    if (!(error instanceof DeviceRefused)) throw error
    if (json) process.stdout.write(`${JSON.stringify(error.document, undefined, 2)}\n`)
    const { hint } = error.document
    throw new UserError(`the device refuses: ${error.message}`, {
      ...(hint !== undefined && { hint }),
      cause: error,
    })
  }
}

function show<T>({ json }: DeviceOptions, document: T, render: (document: T) => string): void {
  process.stdout.write(json ? `${JSON.stringify(document, undefined, 2)}\n` : render(document))
}

const rolledBack = {
  completed: 'what had been changed was taken back: the device is as it was before',
  failed: 'it could not be taken back in full: start the device anew',
} as const

function renderReport({ file, sizeBytes }: SavedReport): string {
  return `${file} has the report: ${describeBytes(sizeBytes)}. left-out.txt in it says what it does not have.\n`
}

/** One line for each thing that matters at the end. */
function renderEnd(job: JobDocument, address = 'ADDRESS'): string {
  const at = job.addresses.length === 0 ? '' : `, at ${job.addresses.join(', ')}`
  switch (job.state) {
    case 'succeeded':
      return `the configuration is active${at}\n`
    case 'failed':
      return [
        `the configuration was not applied: ${job.error ?? 'it has not said why'}`,
        job.rollback === null ? 'nothing had been changed' : rolledBack[job.rollback],
        '',
      ].join('\n')
    case 'waiting-for-confirmation':
      return `the configuration is active until ${job.confirm_before ?? 'soon'}, and then goes back unless somebody confirms it:\n  ./atomixos device confirm --host ${address}\n`
    default:
      return `the job is ${job.state}\n`
  }
}

function renderStatus(status: HealthDocument | StatusDocument): string {
  const { version, provisioned, claim_code_needed, busy } = status
  const job = 'job' in status ? status.job : null
  const rows = [
    ['version', version],
    [
      'configured',
      provisioned ? 'yes' : `no${claim_code_needed ? '; the first one needs the claim code' : ''}`,
    ],
    [
      'job',
      job !== null ? `${job.job_id}, ${job.state}` : busy ? 'a configuration is being applied' : 'none',
    ],
  ]
  return rows.map(([name = '', value]) => `${name.padEnd(12)}${value}\n`).join('')
}

function renderEvents({ events }: EventsDocument): string {
  return events
    .map(({ time, event, slot, version, reason }) => {
      const words = [
        event,
        ...(slot === null ? [] : [`slot ${slot}`]),
        ...(version === undefined ? [] : [version]),
      ]
      return `${time}  ${words.join(' ')}${reason === undefined ? '' : `: ${reason}`}\n`
    })
    .join('')
}

function parseSeconds(text: string): number {
  const seconds = Number(text)
  if (/^\d{1,4}$/.test(text) && seconds <= confirmSecondsMax) return seconds
  throw new InvalidArgumentError(`it is a whole number of seconds, up to ${confirmSecondsMax}.`)
}
