import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { startChild } from './child.ts'
import { missing, testPrograms } from './fixtures/programs.ts'

const absent = missing('setpriv', 'sh', 'sleep')

describe.skipIf(absent)(`programs that must not outlive us${absent ? ` (skipped: ${absent})` : ''}`, () => {
  let dir: string
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'child-'))
  })
  afterEach(() => rm(dir, { recursive: true }))

  const sleeper = () => testPrograms().argv('sleep')
  const start = (argv: readonly string[], deadlineMs = 30_000) =>
    startChild({ programs: testPrograms(), argv, logPath: join(dir, 'log'), deadlineMs })

  test('is killed on demand', async () => {
    const child = await start([...sleeper(), '60'])
    await child.kill()
    expect(await child.exited).toBe('killed by SIGKILL')
    expect(isAlive(child.pid)).toBe(false)
  })

  test('is killed at its deadline, and says so', async () => {
    const child = await start([...sleeper(), '60'], 200)
    expect(await child.exited).toBe('killed at its deadline of 0.2 s')
  })

  test('its words are in the log', async () => {
    const child = await start([...sleeper(), 'forever and a day'])
    expect(await child.exited).toBe('exit code 1')
    expect(await readFile(join(dir, 'log'), 'utf8')).toContain('forever and a day')
  })

  test.each(['SIGKILL', 'SIGINT'] as const)('is killed when its starter dies of %s', async (signal) => {
    const program = `
      import { startChild } from ${JSON.stringify(join(import.meta.dirname, 'child.ts'))}
      import { testPrograms } from ${JSON.stringify(join(import.meta.dirname, 'fixtures/programs.ts'))}
      const programs = testPrograms()
      const child = await startChild({ programs, argv: [...programs.argv('sleep'), '60'], logPath: '${dir}/log', deadlineMs: 60_000 })
      console.log(child.pid)
      setInterval(() => {}, 1000)`
    const starter = spawn(process.execPath, ['--input-type=module-typescript', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const pid = await new Promise<number>((resolve) =>
      starter.stdout.once('data', (chunk: Buffer) => resolve(Number(String(chunk)))),
    )
    expect(isAlive(pid)).toBe(true)
    starter.kill(signal)
    await expect.poll(() => isAlive(pid), { timeout: 10_000 }).toBe(false)
  })
})

/** A zombie whose new parent has not reaped it yet is dead enough. */
function isAlive(pid: number): boolean {
  return existsSync(`/proc/${pid}/exe`)
}
