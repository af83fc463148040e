import { setTimeout as pause } from 'node:timers/promises'
import type { JobDocument } from '@atomixos/config/api/index.ts'
import { UserError } from '@atomixos/image/errors.ts'
import type { Reporter, Task } from '@atomixos/image/reporter.ts'
import { type DeviceClient, DeviceRefused, DeviceSilent } from './device-client.ts'

/** An apply may take an hour for its containers; that it says nothing for so long means that it is elsewhere. */
const silentMaxMs = 180_000
const lookEveryMs = 1_000

/** Shows each step until the job has ended or waits for its confirmation. Throws UserError when the device stays silent. */
export async function followJob(
  client: DeviceClient,
  jobUrl: string,
  { reporter, signal }: { readonly reporter: Reporter; readonly signal: AbortSignal },
): Promise<JobDocument> {
  const tasks = new Map<string, Task>()
  const over = new Set<string>()
  let heardAtMs = Date.now()
  let saidSilent = false
  let last: JobDocument | undefined
  for (;;) {
    try {
      const job = await client.ask<JobDocument>({ path: jobUrl })
      heardAtMs = Date.now()
      last = job
      showSteps(job, tasks, over, reporter)
      if (!['queued', 'running'].includes(job.state)) return job
    } catch (error) {
      if (error instanceof DeviceRefused && error.status === 404) {
        throw new UserError('the device has forgotten the job: it has started anew', {
          hint: `\`./atomixos device status --host ${client.address}\` says what it has now`,
          cause: error,
        })
      }
      if (!(error instanceof DeviceSilent) && !(error instanceof DeviceRefused)) throw error
      const silentMs = Date.now() - heardAtMs
      if (silentMs > silentMaxMs) throw lost(client, last, error)
      if (!saidSilent && silentMs > 10_000) {
        saidSilent = true
        reporter.warn(`no answer from ${client.address}: ${error.message}; still trying`)
      }
    }
    await pause(lookEveryMs, undefined, { signal })
  }
}

function showSteps(job: JobDocument, tasks: Map<string, Task>, over: Set<string>, reporter: Reporter): void {
  for (const { name, state, message } of job.steps) {
    if (state === 'waiting' || over.has(name)) continue
    const task = tasks.get(name) ?? reporter.task(name)
    tasks.set(name, task)
    if (name === 'containers' && job.services.length > 0) {
      const active = job.services.filter((service) => service.state === 'active').length
      task.progress(active, job.services.length, 'items')
    }
    if (state === 'running') continue
    over.add(name)
    if (state === 'failed') task.failed()
    else task.done(message)
  }
}

function lost(client: DeviceClient, last: JobDocument | undefined, cause: Error): UserError {
  const elsewhere = last?.addresses.filter((address) => address !== client.address) ?? []
  const waits = last?.confirm_before === undefined ? '' : ', and goes back by itself if nobody confirms it'
  return new UserError(`the device has not answered for three minutes: ${cause.message}`, {
    hint:
      elsewhere.length > 0
        ? `with its new configuration it is at ${elsewhere.join(' or ')}${waits}`
        : 'its address may have changed, or its firewall: look for it in its LAN',
    cause,
  })
}
