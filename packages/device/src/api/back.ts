import type { ConfigProblem } from '@atomixos/config/operator/index.ts'
import type { Job, JobRequest } from '../apply/job.ts'

/** What stands behind the API: the applying of configurations. Handed in by wire.ts. */
export interface Back {
  /** `busy`: the id of the job that is in the way. */
  submitJob(request: JobRequest): Promise<{ readonly id: string } | { readonly busy: string }>
  readJob(id: string): Promise<Job | undefined>
  /** The one that runs or waits for its confirmation. */
  currentJob(): Promise<Job | undefined>
  /** False: it does not wait for a confirmation. */
  confirmJob(id: string): Promise<boolean>
  /** Of a config.toml or a bundle; changes nothing. */
  validateUpload(bytes: Uint8Array): Promise<{
    readonly problems: readonly ConfigProblem[]
    readonly warnings: readonly ConfigProblem[]
  }>
}

/** The device cannot do it now; the message is for people. */
export class Unavailable extends Error {
  override readonly name = 'Unavailable'
}
