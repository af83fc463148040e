import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { expect, onTestFinished, test } from 'vitest'
import { type JobRunner, JobSpool, rememberingRunner, type Submitted } from './job-spool.ts'

const request = { source: 'api', upload: Buffer.from('secret'), confirmS: 9, actor: 'alice' } as const

function spool(running: (id: string) => boolean = () => true) {
  const dir = mkdtempSync(join(tmpdir(), 'atomixos-test-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  const started: string[] = []
  const runner: JobRunner = { start: (id) => started.push(id), isRunning: running }
  return { folder: join(dir, 'jobs'), started, jobs: new JobSpool(join(dir, 'jobs'), runner), dir }
}

function idOf(submitted: Submitted): string {
  if ('busy' in submitted) throw new Error(`busy: ${submitted.busy}`)
  return submitted.id
}

test('a job is started once it can be read, and its upload is read once', () => {
  const { jobs, started, folder } = spool()
  const id = idOf(jobs.submit(request))
  expect(started).toEqual([id])
  expect(jobs.read(id)).toMatchObject({ id, source: 'api', state: 'queued' })
  expect(statSync(folder).mode & 0o777).toBe(0o700)
  const taken = jobs.takeRequest(id)
  expect(taken).toMatchObject({ source: 'api', confirmS: 9, actor: 'alice' })
  expect(Buffer.from(taken.upload).toString()).toBe('secret')
  expect(readdirSync(join(folder, id)).sort()).toEqual(['job.json', 'request.json'])
})

test('one at a time', () => {
  const { jobs } = spool()
  const id = idOf(jobs.submit(request))
  expect(jobs.submit(request)).toEqual({ busy: id })
  jobs.save({ ...jobs.read(id)!, state: 'succeeded' })
  expect(jobs.active()).toBe(undefined)
  expect(idOf(jobs.submit(request))).not.toBe(id)
})

test('one at a time, when many processes ask at once', async () => {
  const { folder } = spool()
  const program = `
    const { JobSpool } = await import(${JSON.stringify(new URL('./job-spool.ts', import.meta.url).href)})
    const jobs = new JobSpool(${JSON.stringify(folder)}, { start() {}, isRunning: () => true })
    console.log(JSON.stringify(jobs.submit({ source: 'api', upload: Buffer.from('x') })))`
  const answers = await Promise.all(
    Array.from({ length: 8 }, async () => {
      const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      return JSON.parse(await text(child.stdout)) as Submitted
    }),
  )
  const ids = answers.flatMap((answer) => ('id' in answer ? [answer.id] : []))
  expect(ids).toHaveLength(1)
  expect(answers.filter((answer) => 'busy' in answer && answer.busy === ids[0])).toHaveLength(7)
})

test('one whose program has died is told as failed, and is in nobody’s way', () => {
  let running = true
  const { jobs } = spool(() => running)
  const id = idOf(jobs.submit(request))
  running = false
  expect(jobs.read(id)).toMatchObject({ state: 'failed' })
  expect(jobs.read(id)!.error).toContain('ended before its time')
  expect(jobs.submit(request)).toHaveProperty('id')
})

test('whoever looks every second asks systemd every few, and not at all when the job is over', () => {
  let nowMs = 0
  let running = true
  const asked: string[] = []
  const { folder } = spool()
  const runner = rememberingRunner(
    {
      start() {},
      isRunning(id) {
        asked.push(id)
        return running
      },
    },
    { forMs: 5_000, now: () => nowMs },
  )
  const jobs = new JobSpool(folder, runner)
  expect(jobs.active()).toBe(undefined)
  expect(asked).toHaveLength(0)
  const id = idOf(jobs.submit(request))
  // A minute of a health gate that looks before and after, and of somebody who follows the job.
  for (; nowMs < 60_000; nowMs += 1000) {
    expect([jobs.active()?.id, jobs.read(id)?.state, jobs.active()?.id]).toEqual([id, 'queued', id])
  }
  expect(asked).toHaveLength(12)
  jobs.save({ ...jobs.read(id)!, state: 'succeeded' })
  const before = asked.length
  expect([jobs.active(), jobs.read(id)?.state]).toEqual([undefined, 'succeeded'])
  expect(asked).toHaveLength(before)

  // The next one dies: known a few seconds later, and then asked for anew.
  const next = idOf(jobs.submit(request))
  expect(jobs.read(next)?.state).toBe('queued')
  running = false
  expect(jobs.read(next)?.state).toBe('queued')
  nowMs += 5_000
  expect([jobs.read(next)?.state, jobs.active()]).toEqual(['failed', undefined])
  running = true
  expect(jobs.read(next)?.state).toBe('queued')
})

test('one that cannot be started leaves nothing', () => {
  const { folder } = spool()
  const runner: JobRunner = {
    start() {
      throw new Error('systemd says no')
    },
    isRunning: () => false,
  }
  expect(() => new JobSpool(folder, runner).submit(request)).toThrow('systemd says no')
  expect(readdirSync(folder)).toEqual([])
})

test('the newest twenty are kept', () => {
  const { jobs, started } = spool()
  for (let count = 0; count < 30; count += 1) {
    const id = idOf(jobs.submit(request))
    jobs.save({ ...jobs.read(id)!, state: 'failed' })
  }
  expect(jobs.ids()).toHaveLength(20)
  expect(jobs.ids()).toContain(started.at(-1))
  expect(jobs.read(started[0]!)).toBe(undefined)
})

test('an answer goes to a job that waits for one', () => {
  const { jobs } = spool()
  const id = idOf(jobs.submit(request))
  expect(jobs.tell(id, 'confirm')).toBe(false)
  expect(jobs.answerTo(id)).toBe(undefined)
  jobs.save({ ...jobs.read(id)!, state: 'waiting-for-confirmation' })
  expect(jobs.tell(id, 'confirm')).toBe(true)
  expect(jobs.answerTo(id)).toBe('confirm')
})

test.each(['', '..', '../../etc', '0123456789abcdeg', '0123456789ABCDEF', '0123456789abcdef0'])(
  'no job: %j',
  (id) => {
    expect(spool().jobs.read(id)).toBe(undefined)
  },
)
