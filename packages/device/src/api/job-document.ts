import type { JobDocument } from '@atomixos/config/api/index.ts'
import type { Job } from '../apply/job.ts'

/** A job as the API tells of it. Pure. */
export function jobDocument(job: Job): JobDocument {
  return {
    job_id: job.id,
    source: job.source,
    state: job.state,
    steps: job.steps.map(({ name, state, message, startedAt, endedAt }) => ({
      name,
      state,
      message,
      started_at: startedAt,
      ended_at: endedAt,
    })),
    services: job.services.map(({ name, state, required, message }) => ({ name, state, required, message })),
    problems: job.problems,
    warnings: job.warnings,
    error: job.error,
    rollback: job.rollback ?? null,
    confirm_before: job.confirmBefore,
    addresses: job.addresses,
  }
}

export function jobUrl(id: string): string {
  return `/api/jobs/${id}`
}
