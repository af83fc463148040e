import { parseConfig } from '@atomixos/config/operator/index.ts'
import { leastToml } from '@atomixos/config/operator/test-configs.ts'
import { expect, test } from 'vitest'
import { diffConfigs, renderChanges } from './config-diff.ts'
import { unitIsAtWork } from './device-jobs.ts'
import type { Job } from './job.ts'
import { queuedJob } from './job-report.ts'
import { problemLines, progressLines, renderJob } from './render-job.ts'
import { gzip, tarOf } from './test-archives.ts'
import { validateUpload } from './validate-upload.ts'

const queued = queuedJob('0123456789abcdef', 'api')
const running: Job = {
  ...queued,
  state: 'running',
  steps: queued.steps.map((step) => (step.name === 'unpack' ? { ...step, state: 'running' } : step)),
}

test('progress: what is new, line by line', () => {
  expect(progressLines(undefined, queued)).toEqual([])
  expect(progressLines(queued, running)).toEqual(['unpack     ...'])
  expect(progressLines(running, running)).toEqual([])
  const later: Job = {
    ...running,
    steps: running.steps.map((step) => (step.name === 'unpack' ? { ...step, state: 'done' } : step)),
    services: [{ name: 'web', state: 'failed', required: false, message: 'exit\ncode 1' }],
    state: 'waiting-for-confirmation',
    confirmBefore: '2026-01-01T00:05:00.000Z',
    addresses: ['http://10.0.0.1:8080'],
  }
  expect(progressLines(running, later)).toEqual([
    'unpack     done',
    '  web: failed (exit code 1), not required',
    'it goes back at 2026-01-01T00:05:00.000Z, unless somebody says "atomixctl config confirm"',
    'the device is at http://10.0.0.1:8080',
  ])
})

test('a failed job on one screen', () => {
  const problems = [
    { path: 'usres', message: 'there is no such key', hint: 'did you mean "users"?', line: 2, column: 1 },
  ]
  expect(renderJob({ ...running, state: 'failed', problems, error: 'bad; nothing has changed' })).toBe(
    [
      'job 0123456789abcdef, from api: failed',
      'unpack     ...',
      'config.toml:2:1: usres: there is no such key',
      '  did you mean "users"?',
      'bad; nothing has changed',
      '',
    ].join('\n'),
  )
  expect(problemLines([...problems, ...problems, ...problems], 1).at(-1)).toBe('and 2 more')
})

test('differences key by key', () => {
  const before = parseConfig(leastToml).config!
  const after = parseConfig(
    `${leastToml.replace('web:1', 'web:2')}[network]\ndns_servers = ["192.0.2.53"]\n[containers.volume.v.Volume]\n`,
  ).config!
  expect(renderChanges(diffConfigs(before, after))).toBe(
    [
      '- containers.container.web.Container.Image = "registry.example.com/web:1"',
      '+ containers.container.web.Container.Image = "registry.example.com/web:2"',
      '+ containers.volume.v.Volume = {}',
      '+ network.dns_servers = ["192.0.2.53"]',
      '',
    ].join('\n'),
  )
  expect(diffConfigs(after, after)).toEqual([])
  expect(diffConfigs(undefined, before).every((change) => !('before' in change))).toBe(true)
})

test('validation alone tells what a job would', async () => {
  const bundle = (text: string) => gzip(tarOf([{ name: 'config.toml', content: text }, { name: 'files/x' }]))
  expect(await validateUpload(bundle(leastToml))).toMatchObject({ problems: [], config: { version: 1 } })
  expect((await validateUpload(bundle('version = 2'))).problems[0]).toMatchObject({ line: 1, column: 1 })
  expect((await validateUpload(gzip(tarOf([])))).problems).toEqual([
    { path: '', message: 'it holds no config.toml', hint: 'config.toml stands at the top, beside files/' },
  ])
})

test.each([
  ['ActiveState=active\nJob=\n', true],
  ['Job=0\nActiveState=deactivating\n', true],
  ['ActiveState=activating\n', true],
  ['ActiveState=inactive\nJob=1234\n', true],
  ['ActiveState=inactive\nJob=0\n', false],
  ['ActiveState=failed\n', false],
])('%j is at work: %s', (text, expected) => {
  expect(unitIsAtWork(text)).toBe(expected)
})
