import type { ConfigProblem } from '@atomixos/config/operator/index.ts'

/** Who asked for a configuration to be applied. */
export type JobSource = 'boot-partition' | 'usb' | 'boot-ui' | 'api' | 'command'

/** In the order in which they run; `rollback` only after a failure, `confirm` only where confirmation was asked for. */
export type StepName =
  | 'unpack'
  | 'validate'
  | 'render'
  | 'promote'
  | 'activate'
  | 'containers'
  | 'confirm'
  | 'finish'
  | 'rollback'

export interface JobStep {
  readonly name: StepName
  readonly state: 'waiting' | 'running' | 'done' | 'failed'
  /** One line for people. */
  readonly message?: string | undefined
  /** ISO 8601, as the clock was then. */
  readonly startedAt?: string | undefined
  readonly endedAt?: string | undefined
}

/** A container of the configuration that is applied, and how far it is. */
export interface JobService {
  /** As in `[containers.container.NAME]`. */
  readonly name: string
  readonly state: 'waiting' | 'starting' | 'active' | 'failed'
  readonly required: boolean
  readonly message?: string | undefined
}

/**
 * - `waiting-for-confirmation`: all is active, and goes back by itself at `confirmBefore`
 * - `failed`: see `error`, `problems` and `rollback`
 */
export type JobState = 'queued' | 'running' | 'waiting-for-confirmation' | 'succeeded' | 'failed'

/** One applying of a configuration: `/run/atomixos/jobs/ID/job.json`, replaced as a whole whenever something changes. */
export interface Job {
  /** 16 hex digits. */
  readonly id: string
  readonly source: JobSource
  readonly state: JobState
  readonly steps: readonly JobStep[]
  readonly services: readonly JobService[]
  /** What is wrong with the file, all of it. */
  readonly problems: readonly ConfigProblem[]
  readonly warnings: readonly ConfigProblem[]
  /** One line for people: what happened, and what to do next. */
  readonly error?: string | undefined
  /** After a failure that came when something had been changed: is the old configuration active again? */
  readonly rollback?: 'completed' | 'failed' | undefined
  /** ISO 8601. */
  readonly confirmBefore?: string | undefined
  /** Where the device is reached when the configuration is active, such as `http://172.20.30.1:8080`. */
  readonly addresses: readonly string[]
}

/** What is to be applied. */
export interface JobRequest {
  readonly source: JobSource
  /** A config.toml or a bundle; its kind is told by its content. */
  readonly upload: Uint8Array
  /** Seconds within which somebody has to confirm; left out: by the rule of docs/config.md. 0: never. */
  readonly confirmS?: number | undefined
  /** Keeps `files/` of the active configuration, where the upload is a config.toml alone. */
  readonly keepFiles?: boolean | undefined
  /** For the event log: the administrator whose key has signed. */
  readonly actor?: string | undefined
}
