import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { operatorConfigPath } from '@atomixos/config'
import { parseConfig } from '@atomixos/config/operator/index.ts'
import { diffConfigs, renderChanges } from '../apply/config-diff.ts'
import { confirmJob, currentJob, listJobs, readJob, submitJob, takeBackJob } from '../apply/device-jobs.ts'
import type { Job } from '../apply/job.ts'
import { isOver } from '../apply/job-report.ts'
import { confirmDefaultS, riskyChanges } from '../apply/needs-confirmation.ts'
import { problemLines, progressLines, renderJob } from '../apply/render-job.ts'
import { validateUpload } from '../apply/validate-upload.ts'
import { UsageError } from '../usage-error.ts'

const usage =
  'say "config show", "config diff FILE", "config apply FILE", "config confirm", "config rollback" or "config status"'

export async function config(args: readonly string[], options: ReadonlySet<string>): Promise<number> {
  try {
    return await configAction(args, options)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EACCES') throw error
    throw new Error(`only administrators may: run0 atomixctl config ${args.join(' ')}`)
  }
}

async function configAction(args: readonly string[], options: ReadonlySet<string>): Promise<number> {
  const [action, file, ...rest] = args
  const json = options.has('--json')
  if (rest.length > 0) throw new UsageError(usage)
  if (action === 'diff' && file !== undefined) return diff(file, json)
  if (action === 'apply' && file !== undefined) return apply(file, options)
  if (file !== undefined && action !== 'status') throw new UsageError(usage)
  if (action === 'show') return show(json)
  if (action === 'confirm') return answer('confirm')
  if (action === 'rollback') return answer('rollback')
  if (action === 'status') return status(file, json)
  throw new UsageError(usage)
}

async function show(json: boolean): Promise<number> {
  const text = await readActive()
  if (text === undefined) throw new Error('this device is not provisioned: it has no configuration')
  process.stdout.write(json ? `${JSON.stringify(parseConfig(text).config ?? null, null, 2)}\n` : text)
  return 0
}

async function diff(file: string, json: boolean): Promise<number> {
  const [text, upload] = await Promise.all([readActive(), readUploadFile(file)])
  const before = text === undefined ? undefined : parseConfig(text).config
  const { config: after, problems } = await validateUpload(upload)
  if (after === undefined) {
    for (const line of problemLines(problems)) process.stderr.write(`${line}\n`)
    throw new Error(`${file} is no configuration that a device takes`)
  }
  const changes = diffConfigs(before, after)
  if (json) {
    process.stdout.write(`${JSON.stringify(changes, null, 2)}\n`)
    return 0
  }
  process.stdout.write(changes.length === 0 ? 'nothing differs\n' : renderChanges(changes))
  const risky = before === undefined ? [] : riskyChanges(before, after)
  if (risky.length > 0) {
    process.stderr.write(
      `this changes ${risky.join(', ')}: think of --confirm ${confirmDefaultS}, which takes it back unless you confirm\n`,
    )
  }
  return 0
}

async function apply(file: string, options: ReadonlySet<string>): Promise<number> {
  const upload = await readUploadFile(file)
  const confirmS = confirmSeconds(options)
  const submitted = await submitJob({
    source: 'command',
    upload,
    keepFiles: options.has('--keep-files'),
    ...(confirmS !== undefined && { confirmS }),
    ...(process.env.SUDO_USER !== undefined && { actor: process.env.SUDO_USER }),
  })
  if ('busy' in submitted) {
    throw new Error(`job ${submitted.busy} is being applied: see "atomixctl config status", then try again`)
  }
  const leave = () => {
    process.stderr.write('\nthe job goes on: see "atomixctl config status"\n')
    process.exit(130)
  }
  process.once('SIGINT', leave)
  try {
    const job = await follow(submitted.id, (line) => process.stderr.write(`${line}\n`))
    if (options.has('--json')) process.stdout.write(`${JSON.stringify(job, null, 2)}\n`)
    for (const line of problemLines(job.warnings)) process.stderr.write(`warning: ${line}\n`)
    if (job.state === 'succeeded') return 0
    for (const line of problemLines(job.problems)) process.stderr.write(`${line}\n`)
    throw new Error(job.error)
  } finally {
    process.off('SIGINT', leave)
  }
}

/** Tells how it goes until it is over. */
export async function follow(id: string, say: (line: string) => void): Promise<Job> {
  let before: Job | undefined
  for (;;) {
    const job = await readJob(id)
    if (job === undefined) throw new Error(`job ${id} is gone`)
    for (const line of progressLines(before, job)) say(line)
    if (isOver(job)) return job
    before = job
    await sleep(500)
  }
}

async function answer(word: 'confirm' | 'rollback'): Promise<number> {
  const job = await currentJob()
  const told = job !== undefined && (await (word === 'confirm' ? confirmJob : takeBackJob)(job.id))
  if (!told) throw new Error('no configuration waits for confirmation')
  const over = await follow(job.id, (line) => process.stderr.write(`${line}\n`))
  if (word === 'rollback') {
    if (over.rollback !== 'completed') throw new Error(over.error)
    process.stdout.write('the configuration before is active again\n')
    return 0
  }
  if (over.state !== 'succeeded') throw new Error(over.error)
  process.stdout.write('the configuration stays\n')
  return 0
}

async function status(id: string | undefined, json: boolean): Promise<number> {
  const job = id === undefined ? ((await currentJob()) ?? (await listJobs())[0]) : await readJob(id)
  if (job === undefined && id !== undefined) throw new Error(`there is no job ${id}`)
  if (json) process.stdout.write(`${JSON.stringify(job ?? null, null, 2)}\n`)
  else process.stdout.write(job === undefined ? 'nothing was applied since the start\n' : renderJob(job))
  return 0
}

function confirmSeconds(options: ReadonlySet<string>): number | undefined {
  const option = [...options].find((text) => text.startsWith('--confirm='))
  if (option === undefined) return undefined
  const seconds = option.slice('--confirm='.length)
  if (!/^[0-9]{1,5}$/.test(seconds) || Number(seconds) > 86_400) {
    throw new UsageError('--confirm takes a number of seconds, up to a day: --confirm 300')
  }
  return Number(seconds)
}

function readActive(): Promise<string | undefined> {
  return readFile(operatorConfigPath, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
}

function readUploadFile(file: string): Promise<Uint8Array> {
  return readFile(file).catch((error: NodeJS.ErrnoException) => {
    throw new Error(
      `${file} cannot be read: ${error.code === 'ENOENT' ? 'there is no such file' : error.message}`,
    )
  })
}
