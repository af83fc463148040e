import { join } from 'node:path'
import type { NewEvent } from '@atomixos/config'
import { apiPort, lanDefaults, parseNetworkFiles } from '@atomixos/config'
import {
  activationPolicyOf,
  type ConfigProblem,
  type OperatorConfig,
  parseConfig,
  renderConfig,
} from '@atomixos/config/operator/index.ts'
import type { Activator } from './activator.ts'
import { type BundleLimits, BundleRefused, bundleLimits } from './bundle-limits.ts'
import {
  type ConfigFolders,
  candidateFiles,
  completeCandidate,
  keepNew,
  makeCandidate,
  promote,
  recover,
} from './config-folders.ts'
import { type Disk, removeTree } from './disk.ts'
import type { Job, JobRequest } from './job.ts'
import { JobReport } from './job-report.ts'
import { confirmationS } from './needs-confirmation.ts'
import type { OwnerIds } from './owners.ts'
import { readUpload } from './read-upload.ts'
import { waitForContainers } from './wait-for-containers.ts'

/** What somebody says of a job that waits for confirmation. */
export type JobAnswer = 'confirm' | 'rollback'

/** All that applying a configuration touches. */
export interface JobWorld {
  readonly disk: Disk
  readonly folders: ConfigFolders
  readonly ownerIds: OwnerIds
  readonly activator: Activator
  readonly limits?: BundleLimits
  /** Text of a file, or undefined when it is not there. */
  readonly readFile: (path: string) => Promise<string | undefined>
  readonly save: (job: Job) => void
  readonly answer: () => JobAnswer | undefined
  readonly record: (events: readonly NewEvent[]) => void
  readonly log: (line: string) => void
  /** The device has its first configuration: the slot can prove itself. */
  readonly provisioned: () => Promise<void>
  readonly sleep: (ms: number) => Promise<void>
  /** Monotonic milliseconds. */
  readonly monotonicMs: () => number
  readonly now: () => Date
}

/** The upload was looked at and is no configuration; nothing has changed. */
class UploadRefused extends Error {
  override readonly name = 'UploadRefused'
}

const confirmIntervalMs = 250

/** How long containers have to stay up at least. */
const leastSettleS = 3

/**
 * Applies a configuration, from the upload to the end: the new one is active, or the one before is. Never rejects; the job
 * says what came of it.
 */
export async function runJob(queued: Job, request: JobRequest, world: JobWorld): Promise<Job> {
  const report = new JobReport(queued, world)
  const { disk, folders, ownerIds } = world
  report.change({ state: 'running' })
  const by = request.actor === undefined ? request.source : `${request.source}, ${request.actor}`
  try {
    // Something has ended an earlier job so that it could not even take itself back.
    if (recover(disk, folders, ownerIds) === 'undone') await activateOld(report, world, () => {})
    const before = await activeConfig(world)
    const after = await prepare(report, request, world)
    const confirmS = confirmationS({ ...request, confirmS: request.confirmS, before, after })
    if (confirmS > 0) report.plan('confirm', 'finish')
    try {
      await report.step('promote', () => promote(disk, folders, ownerIds))
      const degraded = await activateNew(report, after, world)
      if (confirmS > 0) await waitForConfirmation(report, confirmS, by, world)
      await report.step('finish', () => keepForGood(world))
      await succeed(report, { before, by, degraded }, world)
    } catch (error) {
      // The renaming did not even begin.
      if (!disk.exists(folders.rollback)) throw error
      await rollBack(report, error as Error, { before, by }, world)
    }
  } catch (error) {
    fail(report, error as Error, by, world)
  }
  return report.job
}

/** From the upload to a whole candidate. */
async function prepare(report: JobReport, request: JobRequest, world: JobWorld): Promise<OperatorConfig> {
  const { disk, folders, ownerIds, limits = bundleLimits } = world
  try {
    const { source, kind } = await report.step('unpack', () => {
      makeCandidate(disk, folders, ownerIds)
      return readUpload(request.upload, candidateFiles(disk, folders, ownerIds), { limits })
    })
    const config = await report.step('validate', () => {
      const { config, problems, warnings } = parseConfig(source)
      report.change({ problems, warnings })
      if (config === undefined) throw new UploadRefused(countText(problems))
      return config
    })
    await report.step('render', () => {
      const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(source)
      const keepFiles = request.keepFiles === true && kind === 'config'
      completeCandidate(disk, folders, renderConfig(config, text), { ownerIds, keepFiles })
    })
    return config
  } catch (error) {
    if (error instanceof BundleRefused) report.refuse([problemOf(error)])
    throw error
  }
}

export function problemOf({ message, hint }: BundleRefused): ConfigProblem {
  return { path: '', message, ...(hint !== undefined && { hint }) }
}

function countText(problems: readonly ConfigProblem[]): string {
  const [first] = problems
  const where = first?.line === undefined ? '' : `line ${first.line}, column ${first.column}: `
  const path = first?.path ? `${first.path}: ` : ''
  const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : ''
  return `config.toml: ${where}${path}${first?.message}${more}`
}

/** Gives the names of containers that are not up and need not be. */
async function activateNew(
  report: JobReport,
  config: OperatorConfig,
  world: JobWorld,
): Promise<readonly string[]> {
  const { activator } = world
  const policy = activationPolicyOf(config)
  report.change({ addresses: addressesOf(config) })
  await report.step('activate', async (say) => {
    await activator.activate(say)
    if (policy.restart.length > 0) await activator.restart(policy.restart)
  })
  return report.step('containers', async (say) => {
    const outcome = await waitForContainers({
      // What ends at once counts as up for a moment.
      policy: { ...policy, settle_seconds: Math.max(policy.settle_seconds, leastSettleS) },
      ...containersWorld(world),
      told: (states) => report.services(states, policy.required),
    })
    if (!outcome.up) throw new Error(outcome.reason)
    const { degraded } = outcome
    say(degraded.length === 0 ? 'all are up' : `up, without ${degraded.join(', ')}`)
    return degraded
  })
}

function containersWorld({ activator, sleep, monotonicMs }: JobWorld) {
  return { look: () => activator.containerStates(), sleep, now: monotonicMs }
}

/** Once the old one is put aside the new one stays, even if the old one cannot be thrown away: the next start does that. */
function keepForGood({ disk, folders, log }: JobWorld): void {
  try {
    keepNew(disk, folders)
  } catch (error) {
    if (disk.exists(folders.rollback)) throw error
    log((error as Error).message)
  }
}

async function waitForConfirmation(
  report: JobReport,
  confirmS: number,
  by: string,
  world: JobWorld,
): Promise<void> {
  const { answer, sleep, monotonicMs, now, record, log } = world
  const confirmBefore = new Date(now().getTime() + confirmS * 1000).toISOString()
  log(`the configuration is active; without a confirmation it goes back in ${confirmS} s`)
  await report.step(
    'confirm',
    async (say) => {
      const endMs = monotonicMs() + confirmS * 1000
      while (monotonicMs() < endMs) {
        const answered = answer()
        if (answered === 'confirm') {
          record([{ event: 'config-confirmed', detail: `job ${report.job.id}, ${by}` }])
          say('confirmed')
          return
        }
        if (answered === 'rollback') throw new Error('taken back on demand')
        await sleep(confirmIntervalMs)
      }
      throw new Error(`nobody confirmed it within ${confirmS} s`)
    },
    { state: 'waiting-for-confirmation', confirmBefore },
  )
  report.change({ state: 'running', confirmBefore: undefined })
}

async function succeed(
  report: JobReport,
  facts: { readonly before: unknown; readonly by: string; readonly degraded: readonly string[] },
  world: JobWorld,
): Promise<void> {
  const { record, log, provisioned } = world
  const without = facts.degraded.length > 0 ? `, without ${facts.degraded.join(', ')}` : ''
  const detail = `job ${report.job.id}, ${facts.by}${without}`
  const first = facts.before === undefined
  record([{ event: 'config-applied', detail }, ...(first ? [{ event: 'provisioned', detail } as const] : [])])
  log(`the configuration is applied (${detail})`)
  report.change({ state: 'succeeded' })
  // The configuration stands, whatever comes of this.
  if (first) await provisioned().catch((error: Error) => log(error.message))
}

/** The old configuration comes back; the job says whether all of it did. */
async function rollBack(
  report: JobReport,
  error: Error,
  { before, by }: { readonly before: unknown; readonly by: string },
  world: JobWorld,
): Promise<void> {
  const { disk, folders, ownerIds, record, log } = world
  const reason = error.message
  log(`taking the configuration back: ${reason}`)
  report.change({ state: 'running', confirmBefore: undefined })
  report.plan('rollback')
  const problem = await report
    .step('rollback', async (say) => {
      recover(disk, folders, ownerIds)
      await activateOld(report, world, say)
    })
    .then(
      () => undefined,
      (failure: Error) => failure.message,
    )
  record([
    {
      event: 'config-rolled-back',
      reason,
      detail: `job ${report.job.id}, ${by}; ${problem === undefined ? 'the one before is active' : `not complete: ${problem}`}`,
    },
  ])
  report.change({
    state: 'failed',
    rollback: problem === undefined ? 'completed' : 'failed',
    error:
      problem === undefined
        ? `${reason}; ${before === undefined ? 'the device has no configuration, as before' : 'the configuration before is active again'}`
        : `${reason}; the configuration before is not wholly active again: ${problem}; restart the device to have it so`,
  })
  log(report.job.error!)
}

async function activateOld(
  report: JobReport,
  world: JobWorld,
  say: (message: string) => void,
): Promise<void> {
  const { activator } = world
  await activator.activate(say)
  const old = await activeConfig(world)
  if (typeof old !== 'object') {
    report.change({ addresses: [] })
    return
  }
  report.change({ addresses: addressesOf(old) })
  // They were up before: how long they stay up is not asked again.
  const policy = { ...activationPolicyOf(old), settle_seconds: 0 }
  // What the job tells of services stays: it is about the configuration that was applied.
  const outcome = await waitForContainers({ policy, ...containersWorld(world), told: () => {} })
  if (!outcome.up) throw new Error(outcome.reason)
}

function fail(report: JobReport, error: Error, by: string, world: JobWorld): void {
  const { disk, folders, record, log } = world
  const full = (error as NodeJS.ErrnoException).code === 'ENOSPC'
  const message = full ? 'there is no space left on /data for it' : error.message
  try {
    removeTree(disk, folders.candidate)
  } catch (left) {
    // It is in nobody's way; the next attempt, or the next start, removes it.
    log((left as Error).message)
  }
  record([{ event: 'config-failed', reason: message, detail: `job ${report.job.id}, ${by}` }])
  report.change({ state: 'failed', error: `${message}; nothing has changed` })
  log(report.job.error!)
}

/** `unreadable`: there is one, and this system does not understand it. */
async function activeConfig({
  readFile,
  folders,
}: JobWorld): Promise<OperatorConfig | 'unreadable' | undefined> {
  const text = await readFile(join(folders.active, 'config.toml'))
  return text === undefined ? undefined : (parseConfig(text).config ?? 'unreadable')
}

/** Where the LAN reaches the API. */
function addressesOf(config: OperatorConfig): string[] {
  const lan = renderConfig(config).get('lan-settings.json')?.content
  const { settings } = parseNetworkFiles({ lan, firewall: undefined, host: undefined, sshOnWan: false })
  const cidr = settings.lan.gatewayCidr ?? lanDefaults.gatewayCidr
  return [`http://${cidr.slice(0, cidr.indexOf('/'))}:${apiPort}`]
}
