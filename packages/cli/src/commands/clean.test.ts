import { mkdir, mkdtemp, readdir, rm, utimes } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
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
