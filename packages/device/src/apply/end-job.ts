import type { NewEvent } from '@atomixos/config'
import type { Activator } from './activator.ts'
import { type ConfigFolders, recover } from './config-folders.ts'
import type { Disk } from './disk.ts'
import type { Job } from './job.ts'
import { isOver } from './job-report.ts'
import type { OwnerIds } from './owners.ts'

/**
 * After a job's process has died (killed, out of memory): what it has begun is taken back, and the job told as failed.
 * Where the whole system stops it is left to the next start.
 */
export async function endJob(
  job: Job,
  world: {
    readonly disk: Disk
    readonly folders: ConfigFolders
    readonly ownerIds: OwnerIds
    readonly activator: Activator
    readonly save: (job: Job) => void
    readonly record: (events: readonly NewEvent[]) => void
    readonly log: (line: string) => void
  },
): Promise<Job> {
  const { disk, folders, ownerIds, activator, save, record, log } = world
  if (isOver(job)) return job
  const end = (changes: Partial<Job>): Job => {
    const ended = { ...job, ...changes }
    save(ended)
    return ended
  }
  const finished = job.steps.some(({ name, state }) => name === 'finish' && state !== 'waiting')
  if (finished && !disk.exists(folders.rollback)) return end({ state: 'succeeded' })
  const reason = 'the program that applied it has ended before its time'
  const steps = job.steps.map((step) =>
    step.state === 'running' ? { ...step, state: 'failed' as const } : step,
  )
  const detail = `job ${job.id}, ${job.source}`
  try {
    if (recover(disk, folders, ownerIds) === 'whole') {
      record([{ event: 'config-failed', reason, detail }])
      return end({ state: 'failed', steps, error: `${reason}; nothing has changed` })
    }
    await activator.activate(log)
    record([{ event: 'config-rolled-back', reason, detail }])
    const error = `${reason}; the configuration before is active again`
    return end({ state: 'failed', steps, rollback: 'completed', error })
  } catch (failure) {
    const { message } = failure as Error
    record([{ event: 'config-rolled-back', reason, detail: `${detail}; not complete: ${message}` }])
    const error = `${reason}; the configuration before is not wholly active again: ${message}; restart the device`
    return end({ state: 'failed', steps, rollback: 'failed', error })
  }
}
