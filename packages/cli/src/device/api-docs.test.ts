import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { apiRoutes } from '@atomixos/config/api/index.ts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  configOf,
  type DeviceProcess,
  makeKey,
  openSshPrograms,
  type Ran,
  run,
  startDevice,
} from './test-api.ts'

/** The commands of docs/api.md, as they stand there, against the device's own API. */

const page = await readFile(join(import.meta.dirname, '../../../../docs/api.md'), 'utf8')
const commands = [...page.matchAll(/```sh\n(.*?)```/gs)].map(([, text]) => text!)

let dir: string
let bin: string
let device: DeviceProcess
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'docs-'))
  bin = await openSshPrograms(dir)
  await writeFile(join(dir, 'config.toml'), configOf(await makeKey(bin, dir, 'alice')))
  device = await startDevice({ folder: join(dir, 'device'), bin, claimCode: 'mango-42-river' })
})
afterAll(async () => {
  await device?.[Symbol.asyncDispose]()
  await rm(dir, { recursive: true, force: true })
})

/** The one block with these words. */
async function follow(words: string, env: NodeJS.ProcessEnv = {}): Promise<Ran> {
  const found = commands.filter((text) => text.includes(words))
  expect(found).toHaveLength(1)
  // The port is the test's.
  const text = found[0]!.replaceAll(':8080', `:${device.port}`)
  return run(['sh', '-euc', text], {
    cwd: dir,
    env: { PATH: `${bin}:${process.env['PATH']}`, HOST: '127.0.0.1', KEY: 'alice', ...env },
  })
}

async function ended({ stdout }: Ran): Promise<void> {
  const { job_url } = JSON.parse(stdout)
  for (;;) {
    const { state } = JSON.parse((await follow('$JOB_URL', { JOB_URL: job_url })).stdout)
    if (state === 'succeeded') return
    expect(['queued', 'running']).toContain(state)
    await pause(20)
  }
}

test('the first configuration, with the claim code; then a signed one, and the export', async () => {
  const without = await follow("toml' --data-binary @config.toml http://$HOST:8080/api/config\n")
  expect([without.exitCode, JSON.parse(without.stdout).error]).toEqual([22, 'the claim code is needed'])
  await ended(await follow('$CODE', { CODE: 'mango-42-river' }))
  await ended(await follow('sha256sum < config.toml'))
  expect((await follow('/api/config/export')).stdout).toBe(await readFile(join(dir, 'config.toml'), 'utf8'))
})

test('every endpoint is in the table', () => {
  for (const { method, path } of apiRoutes) {
    const row = page.split('\n').find((line) => line.startsWith('| `') && line.includes(`${path}\``))
    expect(row, path).toContain(method)
  }
})
