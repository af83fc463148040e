import { randomBytes } from 'node:crypto'
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { parseConfig, renderConfig } from '@atomixos/config/operator/index.ts'
import type { Job, JobRequest, JobStep } from '../apply/job.ts'
import type { Back } from './back.ts'

/** What becomes of the next jobs. */
export type Course = 'succeed' | 'fail' | 'hold'

export interface TestBack extends Back {
  course: Course
  readonly requests: readonly JobRequest[]
  /** When nothing is at work any more. */
  ended(): Promise<unknown>
}

const names = ['validate', 'render', 'promote', 'activate', 'containers', 'finish'] as const

/**
 * For tests: applies plain config.toml files to a folder, one at a time, with the real validation and rendering, and
 * without anything that a system is needed for.
 */
export function createTestBack(configFolder: string): TestBack {
  const jobs = new Map<string, Job>()
  const requests: JobRequest[] = []
  let current: string | undefined
  let work: Promise<unknown> = Promise.resolve()

  const change = (id: string, more: Partial<Job>) => jobs.set(id, { ...jobs.get(id)!, ...more })
  const stepsUpTo = (count: number, failed = false): JobStep[] =>
    names.map((name, index) => ({
      name,
      state: index < count ? 'done' : index > count ? 'waiting' : failed ? 'failed' : 'running',
      ...(index <= count && { startedAt: new Date().toISOString() }),
    }))

  async function run(id: string, request: JobRequest): Promise<void> {
    const { config } = parseConfig(request.upload)
    change(id, { state: 'running', steps: stepsUpTo(4) })
    do await pause(20)
    while (back.course === 'hold')
    if (back.course === 'fail' || config === undefined) {
      change(id, {
        ...{ state: 'failed', steps: stepsUpTo(4, true), rollback: 'completed' },
        error: 'the container web did not start: no such image; see journalctl -u web',
      })
    } else {
      await rm(configFolder, { recursive: true, force: true })
      for (const [path, { content, mode }] of renderConfig(
        config,
        Buffer.from(request.upload).toString('utf8'),
      )) {
        await mkdir(dirname(join(configFolder, path)), { recursive: true })
        await writeFile(join(configFolder, path), content)
        await chmod(join(configFolder, path), mode)
      }
      const services = jobs.get(id)!.services.map((service) => ({ ...service, state: 'active' as const }))
      const waits = request.confirmS !== undefined && request.confirmS > 0
      change(id, { state: waits ? 'waiting-for-confirmation' : 'succeeded', steps: stepsUpTo(6), services })
      if (waits) return
    }
    current = undefined
  }

  const back: TestBack = {
    course: 'succeed',
    requests,
    ended: () => work,
    async submitJob(request) {
      if (current !== undefined) return { busy: current }
      const id = randomBytes(8).toString('hex')
      current = id
      requests.push(request)
      const { config, warnings } = parseConfig(request.upload)
      jobs.set(id, {
        ...{ id, source: request.source, state: 'queued', steps: stepsUpTo(0), problems: [], warnings },
        services: Object.keys(config?.containers.container ?? {}).map((name) => ({
          ...{ name, state: 'waiting', required: config!.activation.required.includes(name) },
        })),
        addresses: ['http://127.0.0.1:8080'],
      })
      work = run(id, request)
      return { id }
    },
    readJob: async (id) => jobs.get(id),
    currentJob: async () => (current === undefined ? undefined : jobs.get(current)),
    async confirmJob(id) {
      if (jobs.get(id)?.state !== 'waiting-for-confirmation') return false
      change(id, { state: 'succeeded' })
      current = undefined
      return true
    },
    validateUpload: async (bytes) => parseConfig(bytes),
  }
  return back
}
