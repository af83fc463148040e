import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { reportVariable } from './report-variables.ts'
import type { StoryResult } from './story-progress.ts'

/** The real Vitest with the reporter, on stories without machines. */
const rootDir = join(import.meta.dirname, '../../../..')
let dir: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'story-reporter-'))
})
afterAll(() => rm(dir, { recursive: true, force: true }))

const stories: Readonly<Record<string, string>> = {
  good: `describe('good', () => {
    beforeAll(() => new Promise((resolve) => setTimeout(resolve, 300)))
    test('it works', () => new Promise((resolve) => setTimeout(resolve, 200)))
    test.skip('not today', () => {})
  })`,
  bad: `describe('bad', () => {
    test('it does not', () => { console.log('said by the story'); throw new Error('port 22 is open\\nconsole: ...') })
    test('but this does', () => {})
  })`,
  late: `describe('late', () => {
    beforeEach(({ skip }) => skip('no time is left'))
    test('never begins', () => {})
  })`,
  unprepared: `describe('unprepared', () => {
    beforeAll(() => { throw new Error('the machine did not start') })
    test('never begins', () => {})
  })`,
}

test('each test is told when it ends, and the time of each story, what failed and why is left in a file', async () => {
  for (const [name, text] of Object.entries(stories)) await writeFile(join(dir, `${name}.e2e.ts`), text)
  const config = { test: { globals: true, include: ['*.e2e.ts'], maxWorkers: 1 } }
  await writeFile(join(dir, 'vitest.config.js'), `export default ${JSON.stringify(config)}`)
  const reportPath = join(dir, 'report.json')
  const output = await new Promise<string>((resolve) => {
    execFile(
      process.execPath,
      [
        join(rootDir, 'node_modules/vitest/vitest.mjs'),
        ...['run', '--root', dir, `--reporter=${join(import.meta.dirname, 'story-reporter.ts')}`],
      ],
      { cwd: dir, env: { PATH: process.env.PATH, NO_COLOR: '1', [reportVariable]: reportPath } },
      (_, stdout, stderr) => resolve(stdout + stderr),
    )
  })
  expect(output).toMatch(/✓ .*good\.e2e\.ts > good > it works \d+ms/)
  expect(output).toMatch(/× .*bad\.e2e\.ts > bad > it does not/)
  expect(output).toContain('said by the story')
  // Vitest tells the place of what failed.
  expect(output).toContain('bad.e2e.ts:2:')
  expect(output).not.toContain('\x1b[')

  const report = JSON.parse(await readFile(reportPath, 'utf8')) as StoryResult[]
  const byName = Object.fromEntries(report.map((story) => [story.name, story]))
  expect(byName.good).toMatchObject({
    state: 'passed',
    failures: [],
    tests: [
      { name: 'good > it works', state: 'passed' },
      { name: 'good > not today', state: 'skipped' },
    ],
  })
  expect(byName.good!.preparationSeconds).toBeGreaterThan(0.2)
  // Vitest tells of several things at once, some tenths of a second late.
  expect(byName.good!.seconds).toBeGreaterThan(byName.good!.preparationSeconds)
  expect(byName.late).toMatchObject({
    state: 'skipped',
    tests: [{ name: 'late > never begins', state: 'skipped' }],
  })
  expect(output).toMatch(/↓ .*late\.e2e\.ts > late > never begins.*\[no time is left\]/)
  expect(byName.bad).toMatchObject({
    state: 'failed',
    failures: [{ where: 'bad > it does not', message: 'port 22 is open\nconsole: ...' }],
  })
  expect(byName.bad!.tests.map(({ state }) => state)).toEqual(['failed', 'passed'])
  expect(byName.unprepared).toMatchObject({
    state: 'failed',
    failures: [{ where: 'unprepared', message: 'the machine did not start' }],
  })
})
