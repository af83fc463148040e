import { mkdir, mkdtemp, readdir, rm, utimes } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { workspaceAt } from '@atomixos/image/workspace.ts'
import { expect, test } from 'vitest'
import { createProgram } from '../program.ts'
import { TerminalReporter } from '../terminal-reporter.ts'
import { removeUnused } from './clean.ts'

test('what was wanted lately stays, what was not goes', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'atomixos-clean-'))
  try {
    const now = Date.UTC(2026, 0, 10)
    for (const [name, day] of [
      ['old', 1],
      ['new', 9],
    ] as const) {
      await mkdir(join(dir, 'steps', name), { recursive: true })
      const time = new Date(Date.UTC(2026, 0, day))
      await utimes(join(dir, 'steps', name), time, time)
    }
    expect(await removeUnused(dir, 7, now)).toBe(1)
    expect(await readdir(join(dir, 'steps'))).toEqual(['new'])
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
})

test.each([
  [['clean'], ['.atomixos', 'keys'], ['downloads', 'keys']],
  [
    ['clean', '--keep-dist'],
    ['.atomixos', 'dist', 'keys'],
    ['downloads', 'keys'],
  ],
  [['clean', '--all'], ['.atomixos', 'keys'], ['keys']],
])('%j removes caches and results, and no keys', async (argv, left, cache) => {
  const dir = await mkdtemp(join(tmpdir(), 'atomixos-clean-'))
  try {
    for (const name of ['downloads', 'keys', 'steps', 'trees']) {
      await mkdir(join(dir, '.atomixos', name), { recursive: true })
    }
    await mkdir(join(dir, 'dist/rock64'), { recursive: true })
    await mkdir(join(dir, 'keys'))
    const { signal } = new AbortController()
    const context = { workspace: workspaceAt(dir), reporter: new TerminalReporter(), signal }
    await createProgram(context).parseAsync(argv, { from: 'user' })
    expect((await readdir(dir)).toSorted()).toEqual(left)
    expect((await readdir(join(dir, '.atomixos'))).toSorted()).toEqual(cache)
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
})
