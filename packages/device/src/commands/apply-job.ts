import { executeJob, tidyUpJob } from '../apply/device-jobs.ts'
import { UsageError } from '../usage-error.ts'

/** `apply-job ID`: what the unit of a job runs. Exit code 0: the job itself says what came of it. */
export async function applyJob(args: readonly string[], options: ReadonlySet<string>): Promise<number> {
  const [id, ...rest] = args
  if (id === undefined || rest.length > 0) throw new UsageError('say "apply-job ID"')
  if (options.has('--ended')) await tidyUpJob(id)
  else await executeJob(id)
  return 0
}
