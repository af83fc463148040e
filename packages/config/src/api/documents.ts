import type { ConfigProblem } from '../operator/places.ts'

/** What the API answers with, as JSON. schemas.ts has the same for OpenAPI; a test compares real answers with it. */

export interface ErrorDocument {
  /** One line: what happened. */
  readonly error: string
  /** What to do next. */
  readonly hint?: string | undefined
  /** What is wrong with the configuration, all of it. */
  readonly problems?: readonly ConfigProblem[] | undefined
  readonly warnings?: readonly ConfigProblem[] | undefined
  /** Of the job that is in the way. */
  readonly job_url?: string | undefined
}

export interface HealthDocument {
  readonly status: 'ok'
  readonly version: string
  readonly provisioned: boolean
  /** The first configuration needs the code from the boot partition. */
  readonly claim_code_needed: boolean
  /** A configuration is being applied. */
  readonly busy: boolean
}

export interface NonceDocument {
  readonly nonce: string
  readonly expires_in: number
}

export interface ValidationDocument {
  readonly valid: boolean
  readonly problems: readonly ConfigProblem[]
  readonly warnings: readonly ConfigProblem[]
}

export interface AcceptedDocument {
  readonly job_id: string
  readonly state: string
  readonly job_url: string
}

export interface StepDocument {
  readonly name: string
  readonly state: 'waiting' | 'running' | 'done' | 'failed'
  readonly message?: string | undefined
  readonly started_at?: string | undefined
  readonly ended_at?: string | undefined
}

export interface ServiceDocument {
  readonly name: string
  readonly state: 'waiting' | 'starting' | 'active' | 'failed'
  readonly required: boolean
  readonly message?: string | undefined
}

export interface JobDocument {
  readonly job_id: string
  readonly source: string
  readonly state: 'queued' | 'running' | 'waiting-for-confirmation' | 'succeeded' | 'failed'
  readonly steps: readonly StepDocument[]
  readonly services: readonly ServiceDocument[]
  readonly problems: readonly ConfigProblem[]
  readonly warnings: readonly ConfigProblem[]
  readonly error?: string | undefined
  /** Whether the old configuration is active again; null when nothing had been changed. */
  readonly rollback: 'completed' | 'failed' | null
  readonly confirm_before?: string | undefined
  readonly addresses: readonly string[]
}

export interface StatusDocument extends HealthDocument {
  /** The job that runs or waits; null: none does. */
  readonly job: JobDocument | null
}

/** One of the device's life-cycle events. */
export interface EventDocument {
  readonly seq: number
  readonly time: string
  readonly event: string
  readonly slot: string | null
  readonly version?: string | undefined
  readonly reason?: string | undefined
  readonly detail?: string | undefined
}

export interface EventsDocument {
  readonly events: readonly EventDocument[]
}
