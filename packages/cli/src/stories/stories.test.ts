import { mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { belongsTo, lastLine, readLastSteps } from './last-step.ts'
import { clock, renderTable } from './render-table.ts'
import { StoryProgress } from './story-progress.ts'
import { renderSummary, summaryJson } from './summary.ts'

/** Four stories after 100 s: one passed, one failed, one in the middle, one not begun. */
function someProgress(): StoryProgress {
  const progress = new StoryProgress(['rauc-slots', 'firewall', 'rauc-update', 'ssh-wan-toggle'])
  progress.began('rauc-slots', 0)
  progress.counted('rauc-slots', 1)
  progress.testBegan('rauc-slots', 'rauc-slots > first boot', 20_000)
  progress.testEnded('rauc-slots', { name: 'rauc-slots > first boot', state: 'passed', seconds: 11.04 })
  progress.ended('rauc-slots', 'passed', 31_040)
  progress.began('firewall', 1000)
  progress.counted('firewall', 2)
  progress.testBegan('firewall', 'firewall > every port', 5000)
  progress.failed('firewall', { where: 'firewall > every port', message: 'port 22 is open\nconsole:\n...' })
  progress.testEnded('firewall', { name: 'firewall > every port', state: 'failed', seconds: 2 })
  progress.ended('firewall', 'failed', 7000)
  progress.began('rauc-update', 35_000)
  progress.counted('rauc-update', 7)
  progress.testBegan('rauc-update', 'rauc-update > it finds it', 40_000)
  return progress
}

const wide = { columns: 200, lines: 40, colour: false, lastSteps: new Map() }

describe('the table', () => {
  test('tells of each story its state, its tests, its time and what happens', () => {
    const lines = renderTable(someProgress().rows(100_000), {
      ...wide,
      lastSteps: new Map([['rauc-update', 'ab: try slot B']]),
    })
    expect(lines).toEqual([
      '  story           state      tests    time',
      '✓ rauc-slots      passed       1/1    0:31',
      '✗ firewall        failed       1/2    0:06',
      '▶ rauc-update     running      0/7    1:05  it finds it | ab: try slot B',
      '· ssh-wan-toggle  waiting',
    ])
  })

  test('a story whose machine is being made says so, with what the machine says', () => {
    const progress = new StoryProgress(['firewall'])
    progress.began('firewall', 0)
    const lines = renderTable(progress.rows(2000), { ...wide, lastSteps: new Map([['firewall', 'Booting']]) })
    expect(lines[1]).toBe('◌ firewall  preparing           0:02  Booting')
  })

  test('a story whose end is told before its beginning has ended', () => {
    const progress = new StoryProgress(['clock'])
    progress.ended('clock', 'skipped', 500)
    progress.began('clock', 900)
    progress.testBegan('clock', 'clock > the first start', 1000)
    expect(progress.rows(2000)[0]).toMatchObject({ state: 'skipped', current: [] })
    expect(progress.results(2000)[0]).toMatchObject({ state: 'skipped', failures: [] })
  })

  test('never wider or higher than the terminal; what goes on and what failed stays in it', () => {
    const names = Array.from({ length: 30 }, (_, n) => `story-${n}`)
    const progress = new StoryProgress(names)
    for (const [n, name] of names.slice(0, 20).entries()) {
      progress.began(name, 0)
      progress.ended(name, n === 3 ? 'failed' : 'passed', 1000)
    }
    progress.began('story-20', 0)
    progress.testBegan('story-20', `story-20 > ${'long '.repeat(50)}`, 1000)
    const lines = renderTable(progress.rows(5000), { ...wide, columns: 60, lines: 8 })
    expect(lines).toHaveLength(8)
    expect(Math.max(...lines.map((line) => [...line].length))).toBeLessThan(60)
    expect(lines.join('\n')).toContain('✗ story-3 ')
    expect(lines.join('\n')).toContain('▶ story-20 ')
    expect(lines.at(-1)).toBe('  and 19 passed, 5 waiting')
  })

  test('colour only where it was asked for', () => {
    const rows = someProgress().rows(100_000)
    expect(renderTable(rows, wide).join('')).not.toContain('\x1b')
    expect(renderTable(rows, { ...wide, colour: true })[2]).toBe(
      '\x1b[31m✗ firewall        failed       1/2    0:06\x1b[0m',
    )
  })

  test('times are read like a clock', () => {
    expect([0, 7.9, 67, 720, 3723].map(clock)).toEqual(['0:00', '0:07', '1:07', '12:00', '1:02:03'])
  })
})

describe('the summary', () => {
  const run = { seconds: 102, logsOf: (story: string) => [`.atomixos/e2e/${story}`] }

  test('has the time of every story, and each failure with its message and its logs', () => {
    const progress = someProgress()
    progress.ended('rauc-update', 'passed', 100_000)
    expect(renderSummary(progress.results(100_000), run)).toBe(
      [
        'story           result   tests  preparation     time',
        'rauc-slots      passed       1         20 s     31 s',
        'firewall        failed       1          4 s      6 s',
        'rauc-update     passed       0          5 s     65 s',
        'ssh-wan-toggle  not run      0          0 s      0 s',
        '4 stories of 102 s, told in 102 s',
        '',
        'failed:',
        '  firewall > every port',
        '    port 22 is open',
        '    console:',
        '    ...',
        '  logs of its machines: .atomixos/e2e/firewall',
        '',
      ].join('\n'),
    )
  })

  test('a story in whose middle the run ended did not pass', () => {
    const [, , update] = someProgress().results(100_000)
    expect(update).toMatchObject({
      state: 'failed',
      seconds: 65,
      preparationSeconds: 5,
      failures: [{ where: 'rauc-update', message: 'the run ended in the middle of it' }],
    })
  })

  test('as JSON: counts, seconds, and of each story the seconds and the tests', () => {
    const json = summaryJson(someProgress().results(100_000), {
      ...run,
      ...{ counts: { passed: 1, failed: 1, skipped: 0 }, buildSeconds: 3.06, thorough: false },
    })
    expect(json).toMatchObject({ passed: 1, failed: 1, skipped: 0, buildSeconds: 3.1, seconds: 102 })
    expect(json.stories[0]).toEqual({
      ...{ name: 'rauc-slots', state: 'passed', seconds: 31, preparationSeconds: 20, failures: [] },
      tests: [{ name: 'rauc-slots > first boot', state: 'passed', seconds: 11 }],
      logs: ['.atomixos/e2e/rauc-slots'],
    })
  })
})

describe('the last step of a machine', () => {
  test('is the last line with something on it, as plain text', () => {
    expect(lastLine('one\r\n\x1b[32m  OK  \x1b[0m Started \x07it\r\n\r\n  ')).toBe('OK   Started it')
    // A soft reset of the terminal, of which something is left over.
    expect(lastLine('said\r\n\x1b[2J\r\n\x1b[!p\r\n')).toBe('said')
    expect(lastLine('\x1b[2J\r\n')).toBeUndefined()
  })

  test("is the newest of the story's own machines; before it has one, of a saved machine that is being made", async () => {
    const dir = await mkdtemp(join(tmpdir(), 'last-step-'))
    try {
      const say = async (folder: string, text: string, ageSeconds: number) => {
        await mkdir(join(dir, folder), { recursive: true })
        const path = join(dir, folder, 'console.log')
        await writeFile(path, text)
        const at = Date.now() / 1000 - ageSeconds
        await utimes(path, at, at)
      }
      await say('firewall/device', 'older\n', 20)
      await say('firewall/device/again', 'newer\n', 2)
      await say('provisioned-12ab', 'saved\n', 0)
      await say('rauc-update', 'of another story\n', 0)
      // An earlier run's.
      await say('ntp', 'long ago\n', 3600)
      const names = ['firewall', 'rauc-update', 'ntp', 'feed']
      expect(await readLastSteps(dir, ['firewall', 'ntp', 'feed'], names)).toEqual(
        new Map([
          ['firewall', 'newer'],
          ['ntp', 'saved'],
          ['feed', 'saved'],
        ]),
      )
    } finally {
      await rm(dir, { recursive: true, force: true })
    }
  })

  test('a story has its own folder, and those that begin with its name', () => {
    expect(
      ['rauc-hostile', 'rauc-hostile-bundles', 'rauc-host'].map((one) => belongsTo(one, 'rauc-hostile')),
    ).toEqual([...[true, true, false]])
  })
})
