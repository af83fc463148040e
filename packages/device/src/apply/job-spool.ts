import { randomBytes } from 'node:crypto'
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { withLogLock } from '../events/log-lock.ts'
import type { Job, JobRequest } from './job.ts'
import { isOver, queuedJob } from './job-report.ts'
import type { JobAnswer } from './run-job.ts'

/** Runs jobs, each in a process of its own that outlives whoever asked for it. */
export interface JobRunner {
  /** Does not wait for it. Throws an Error that says why it cannot be started. */
  start(id: string): void
  /** It is about to run, runs, or tidies up. */
  isRunning(id: string): boolean
}

/**
 * A runner whose "it runs" is good for a while, job by job: to ask systemd starts a program, and whoever waits for a job
 * looks every second. That it does not run is never remembered, nor anything from before its start.
 */
export function rememberingRunner(
  runner: JobRunner,
  { forMs, now }: { readonly forMs: number; readonly now: () => number },
): JobRunner {
  const ranAtMs = new Map<string, number>()
  return {
    start(id) {
      ranAtMs.delete(id)
      runner.start(id)
    },
    isRunning(id) {
      const atMs = ranAtMs.get(id)
      if (atMs !== undefined && now() - atMs < forMs) return true
      const askedAtMs = now()
      const running = runner.isRunning(id)
      if (running) ranAtMs.set(id, askedAtMs)
      else ranAtMs.delete(id)
      return running
    },
  }
}

export type Submitted = { readonly id: string } | { readonly busy: string }

/** Jobs that are over are kept, as many of the newest. */
const keptMax = 20

const idPattern = /^[0-9a-f]{16}$/

/**
 * Jobs in a folder in memory, each in one of its own: `job.json`, what is to be applied until it has been read, and what
 * somebody has answered. It is root's alone: uploads hold secrets.
 */
export class JobSpool {
  private readonly folder: string
  private readonly runner: JobRunner

  constructor(folder: string, runner: JobRunner) {
    this.folder = folder
    this.runner = runner
  }

  /** One at a time, whoever asks in the same moment. Throws an Error when the job cannot be started at all. */
  submit(request: JobRequest): Submitted {
    mkdirSync(this.folder, { recursive: true, mode: 0o700 })
    return withLogLock(
      join(this.folder, '.lock'),
      (locked): Submitted => {
        if (!locked) throw new Error(`${this.folder} cannot be locked: try again`)
        const busy = this.active()
        if (busy !== undefined) return { busy: busy.id }
        this.prune()
        const id = randomBytes(8).toString('hex')
        this.write(id, request)
        try {
          this.runner.start(id)
        } catch (error) {
          rmSync(this.path(id), { recursive: true, force: true })
          throw error
        }
        return { id }
      },
      // The folder is gone with the boot.
      { bootId: 'run', waitMaxMs: 10_000 },
    )
  }

  /** Undefined when there is no such job. One whose process has died is told as failed. */
  read(id: string): Job | undefined {
    const job = this.parse(id)
    if (job === undefined || isOver(job) || this.runner.isRunning(id)) return job
    // It may have ended in between.
    const later = this.parse(id)
    if (later === undefined || isOver(later)) return later
    return { ...later, state: 'failed', error: diedText }
  }

  /** The one that is not over. */
  active(): Job | undefined {
    return this.ids()
      .map((id) => this.parse(id))
      .find((job) => job !== undefined && !isOver(job) && this.runner.isRunning(job.id))
  }

  /** The newest first. */
  ids(): string[] {
    if (!existsSync(this.folder)) return []
    const timed = readdirSync(this.folder)
      .filter((name) => idPattern.test(name))
      .map((id) => {
        // Written once. Not the time of birth: file systems in memory may not have it.
        const stat = statSync(this.path(id, 'request.json'), { throwIfNoEntry: false })
        return { id, timeMs: stat?.mtimeMs ?? 0 }
      })
    return timed.sort((a, b) => b.timeMs - a.timeMs || (a.id < b.id ? 1 : -1)).map(({ id }) => id)
  }

  save(job: Job): void {
    this.replace(job.id, 'job.json', `${JSON.stringify(job)}\n`)
  }

  /** What is to be applied. It is taken away: it may be 32 MiB of memory. */
  takeRequest(id: string): JobRequest {
    const { upload: _, ...rest } = JSON.parse(
      readFileSync(this.path(id, 'request.json'), 'utf8'),
    ) as JobRequest
    const upload = readFileSync(this.path(id, 'upload'))
    rmSync(this.path(id, 'upload'))
    return { ...rest, upload }
  }

  /** False when the job does not wait for an answer. */
  tell(id: string, answer: JobAnswer): boolean {
    if (this.read(id)?.state !== 'waiting-for-confirmation') return false
    this.replace(id, 'answer', answer)
    return true
  }

  answerTo(id: string): JobAnswer | undefined {
    try {
      const text = readFileSync(this.path(id, 'answer'), 'utf8')
      return text === 'confirm' || text === 'rollback' ? text : undefined
    } catch {
      return undefined
    }
  }

  private write(id: string, { upload, ...request }: JobRequest): void {
    mkdirSync(this.path(id), { mode: 0o700 })
    writeFileSync(this.path(id, 'request.json'), JSON.stringify(request), { mode: 0o600 })
    const file = openSync(this.path(id, 'upload'), 'wx', 0o600)
    try {
      for (let rest = upload; rest.length > 0; ) rest = rest.subarray(writeSync(file, rest))
    } finally {
      closeSync(file)
    }
    this.save(queuedJob(id, request.source))
  }

  private prune(): void {
    for (const id of this.ids().slice(keptMax - 1)) rmSync(this.path(id), { recursive: true, force: true })
  }

  private parse(id: string): Job | undefined {
    if (!idPattern.test(id)) return undefined
    try {
      return JSON.parse(readFileSync(this.path(id, 'job.json'), 'utf8')) as Job
    } catch {
      return undefined
    }
  }

  private replace(id: string, name: string, text: string): void {
    const unfinished = this.path(id, `${name}.${process.pid}`)
    writeFileSync(unfinished, text, { mode: 0o600 })
    renameSync(unfinished, this.path(id, name))
  }

  private path(id: string, ...names: readonly string[]): string {
    return join(this.folder, id, ...names)
  }
}

export const diedText =
  'the program that applied it has ended before its time: see "journalctl -u config-apply@*"; a restart of the device makes its configuration whole'
