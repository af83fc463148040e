import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  bootSeedPendingPath,
  configJobsFolder,
  configRollbackFolder,
  operatorConfigPath,
} from '@atomixos/config'
import { deviceActivator } from '../activation/activate-all.ts'
import { readOptional } from '../durable-file.ts'
import { recordEvents } from '../events/record-events.ts'
import { lastLine, runProgram } from '../run-program.ts'
import { bundleLimitsOf } from './bundle-limits.ts'
import { configFolders } from './config-folders.ts'
import { realDisk } from './disk.ts'
import { endJob } from './end-job.ts'
import type { Job, JobRequest } from './job.ts'
import { type JobRunner, JobSpool, rememberingRunner, type Submitted } from './job-spool.ts'
import { systemOwnerIds } from './owners.ts'
import { runJob } from './run-job.ts'

const systemctl = '/usr/bin/systemctl'

/** Each job is a unit: it goes on when whoever asked for it is gone. */
const runner: JobRunner = {
  start(id) {
    const result = spawnSync(systemctl, ['start', '--no-block', unitOf(id)], {
      encoding: 'utf8',
      timeout: 20_000,
    })
    if (result.status !== 0) {
      throw new Error(`${unitOf(id)} cannot be started: ${result.stderr?.trim() || result.error?.message}`)
    }
  },
  isRunning(id) {
    const argv = ['show', '--property=ActiveState,Job', unitOf(id)]
    const { status, stdout } = spawnSync(systemctl, argv, { encoding: 'utf8', timeout: 20_000 })
    // Whoever cannot be asked is taken to be at work.
    return status !== 0 || unitIsAtWork(stdout)
  },
}

function unitOf(id: string): string {
  return `config-apply@${id}.service`
}

/** From `systemctl show`: it runs, tidies up, or is about to be started. Pure. */
export function unitIsAtWork(text: string): boolean {
  return /^ActiveState=(?!inactive$|failed$)/m.test(text) || /^Job=[1-9]/m.test(text)
}

/** One whose program has died is told so this much later. That it is over stands in its own file, at once. */
const askAgainMs = 5_000

const spool = new JobSpool(
  configJobsFolder,
  rememberingRunner(runner, { forMs: askAgainMs, now: () => performance.now() }),
)

/** Begins to apply a configuration, in a process of its own; one at a time. Rejects when it cannot be begun at all. */
export async function submitJob(request: JobRequest): Promise<Submitted> {
  return spool.submit(request)
}

/** Undefined when there is no such job (any more). */
export async function readJob(id: string): Promise<Job | undefined> {
  return spool.read(id)
}

/** The one that is being applied. */
export async function currentJob(): Promise<Job | undefined> {
  return spool.active()
}

/** The newest first; the last twenty since the start. */
export async function listJobs(): Promise<Job[]> {
  return spool.ids().flatMap((id) => spool.read(id) ?? [])
}

/** The operator still reaches the device: the configuration stays. False when the job does not wait for that. */
export async function confirmJob(id: string): Promise<boolean> {
  return spool.tell(id, 'confirm')
}

/** The configuration before comes back at once. False when the job does not wait for confirmation. */
export async function takeBackJob(id: string): Promise<boolean> {
  return spool.tell(id, 'rollback')
}

/** There is a configuration, and it has proved itself. */
export function isProvisioned(): boolean {
  return existsSync(operatorConfigPath) && !existsSync(configRollbackFolder)
}

/** In the job's own unit. */
export async function executeJob(id: string): Promise<Job> {
  const job = spool.read(id)
  if (job === undefined) throw new Error(`there is no job ${id}`)
  return runJob(job, spool.takeRequest(id), {
    ...world(),
    limits: bundleLimitsOf(process.env),
    readFile: readOptional,
    answer: () => spool.answerTo(id),
    provisioned: confirmSlot,
    sleep,
    monotonicMs: () => performance.now(),
    now: () => new Date(),
  })
}

/** In the job's own unit, when its program has died. */
export async function tidyUpJob(id: string): Promise<void> {
  const job = spool.read(id)
  if (job === undefined) return
  const { stdout } = await runProgram([systemctl, 'is-system-running'], { timeoutMs: 20_000 })
  // Nothing is activated on the way down; the next start makes the configuration whole.
  if (stdout.trim() === 'stopping') return
  await endJob(job, world())
}

function world() {
  return {
    disk: realDisk,
    folders: configFolders,
    ownerIds: systemOwnerIds(),
    activator: deviceActivator,
    save: (job: Job) => spool.save(job),
    record: recordEvents,
    log: (line: string) => void process.stdout.write(`${line}\n`),
  }
}

/** The slot can prove itself now, by the health check that every slot goes through. */
async function confirmSlot(): Promise<void> {
  await rm(bootSeedPendingPath, { force: true })
  const argv = [systemctl, 'restart', '--no-block', 'os-verification.service'] as const
  const result = await runProgram(argv, { timeoutMs: 20_000 })
  if (result.exitCode !== 0) throw new Error(`the slot is confirmed at the next start: ${lastLine(result)}`)
}
