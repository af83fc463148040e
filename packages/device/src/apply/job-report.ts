import type { ConfigProblem } from '@atomixos/config/operator/index.ts'
import type { ContainerState } from './activator.ts'
import type { Job, JobSource, JobStep, StepName } from './job.ts'

type Changing<T> = { -readonly [Key in keyof T]: T[Key] }

const plannedSteps: readonly StepName[] = [
  'unpack',
  'validate',
  'render',
  'promote',
  'activate',
  'containers',
  'finish',
]

/** A job that has not begun. */
export function queuedJob(id: string, source: JobSource): Job {
  const steps = plannedSteps.map((name): JobStep => ({ name, state: 'waiting' }))
  return {
    ...{ id, source, state: 'queued', steps },
    ...{ services: [], problems: [], warnings: [], addresses: [] },
  }
}

export function isOver({ state }: Job): boolean {
  return state === 'succeeded' || state === 'failed'
}

/** A job while it runs: whatever changes is saved, as a whole. */
export class JobReport {
  job: Job
  private readonly save: (job: Job) => void
  private readonly now: () => Date

  constructor(job: Job, world: { readonly save: (job: Job) => void; readonly now: () => Date }) {
    this.job = job
    this.save = world.save
    this.now = world.now
  }

  change(changes: Partial<Changing<Job>>): void {
    const before = JSON.stringify(this.job)
    this.job = { ...this.job, ...changes }
    if (JSON.stringify(this.job) !== before) this.save(this.job)
  }

  /** Adds a step that is not always there, at its place. */
  plan(name: StepName, before?: StepName): void {
    const at = this.job.steps.findIndex((step) => step.name === before)
    const steps = [...this.job.steps]
    steps.splice(at < 0 ? steps.length : at, 0, { name, state: 'waiting' })
    this.change({ steps })
  }

  /** Runs a step of the job; what it throws fails it, and goes on. */
  async step<T>(
    name: StepName,
    work: (say: (message: string) => void) => Promise<T> | T,
    more: Partial<Changing<Job>> = {},
  ): Promise<T> {
    this.change({ ...more, steps: this.stepsWith(name, { state: 'running', startedAt: this.time() }) })
    const say = (message: string) => this.change({ steps: this.stepsWith(name, { message }) })
    try {
      const result = await work(say)
      this.change({ steps: this.stepsWith(name, { state: 'done', endedAt: this.time() }) })
      return result
    } catch (error) {
      const { message } = error as Error
      this.change({ steps: this.stepsWith(name, { state: 'failed', endedAt: this.time(), message }) })
      throw error
    }
  }

  services(states: readonly ContainerState[], required: readonly string[]): void {
    this.change({ services: states.map((state) => ({ ...state, required: required.includes(state.name) })) })
  }

  refuse(problems: readonly ConfigProblem[]): void {
    this.change({ problems })
  }

  private stepsWith(name: StepName, changes: Partial<JobStep>): JobStep[] {
    return this.job.steps.map((step) => (step.name === name ? { ...step, ...changes } : step))
  }

  private time(): string {
    return this.now().toISOString()
  }
}
