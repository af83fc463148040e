import { execFile } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { coreStories } from '@atomixos/e2e/core-stories.ts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

/** The real mise, from the npm registry, with a home of its own and no network. */
const rootDir = join(import.meta.dirname, '../../../..')
const host = `${process.platform}-${process.arch}`
const packaged = host === 'linux-x64'
const title = packaged ? 'mise' : `mise (skipped: the npm registry has no package of it for ${host})`

interface Task {
  readonly name: string
  readonly run: readonly string[]
  readonly source: string
}

describe.skipIf(!packaged)(title, () => {
  let home: string
  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'atomixos-mise-'))
  })
  afterAll(() => rm(home, { recursive: true, force: true }))

  async function mise(...args: string[]): Promise<string> {
    const { stdout } = await promisify(execFile)(findMise(), args, {
      cwd: rootDir,
      timeout: 60_000,
      env: {
        ...{ PATH: process.env.PATH, HOME: home, NO_COLOR: '1' },
        ...{ MISE_DATA_DIR: join(home, 'data'), MISE_CACHE_DIR: join(home, 'cache') },
        ...{ MISE_STATE_DIR: join(home, 'state'), MISE_CONFIG_DIR: join(home, 'config') },
        ...{ MISE_TRUSTED_CONFIG_PATHS: rootDir, MISE_CEILING_PATHS: join(rootDir, '..') },
        ...{ MISE_OFFLINE: '1', MISE_YES: '1' },
      },
    })
    return stdout
  }

  async function tasks(): Promise<Map<string, string>> {
    const found = JSON.parse(await mise('tasks', '--json')) as Task[]
    return new Map(
      found
        .filter(({ source }) => source === join(rootDir, 'mise.toml'))
        .map(({ name, run }) => [name, run.join('\n')]),
    )
  }

  test('knows the tasks by the names of the commands: a colon for the space', async () => {
    const known = await tasks()
    const names = [
      ...['check', 'build', 'build:squashfs', 'build:rauc-bundle', 'build:boot-script', 'build:image'],
      ...['e2e', 'e2e:debug', 'vm', 'flash', 'config', 'docs:build', 'docs:serve', 'lock', 'keys'],
      ...coreStories.map((name) => `e2e:${name}`),
    ]
    for (const name of names) expect([...known.keys()], name).toContain(name)
    for (const [name, run] of known) {
      if (name !== 'test:quick') expect(run).toBe(`./atomixos ${name.replace(':', ' ')}`)
    }
    expect(known.get('test:quick')).toBe('./atomixos test --quick')
  })

  test('has a task for every story, and none for a story that is not there', async () => {
    const stories = (await readdir(join(rootDir, 'e2e'))).flatMap((name) =>
      name.endsWith('.e2e.ts') ? `e2e:${name.slice(0, -'.e2e.ts'.length)}` : [],
    )
    const known = [...(await tasks()).keys()].filter(
      (name) => name.startsWith('e2e:') && name !== 'e2e:debug',
    )
    expect(known.sort()).toEqual(stories.sort())
  })

  test('`mise run e2e -- --list` ends in our command', async () => {
    const listed = await mise('run', 'e2e', '--', '--list', '--json')
    const names = (JSON.parse(listed) as { name: string }[]).map(({ name }) => name)
    for (const story of coreStories) expect(names).toContain(story)
  })

  test('`mise run e2e:rauc-slots` is that story, with options behind it', async () => {
    expect(await mise('run', 'e2e:rauc-slots', '--', '--help')).toContain('atomixos e2e [options]')
  })

  test('an error of ours is an error of mise', async () => {
    await expect(mise('run', 'e2e', '--', 'no-such-story')).rejects.toMatchObject({
      stderr: expect.stringContaining('there is no story "no-such-story"'),
    })
  })
})

/** Of the locked package; installed on this host or not. */
function findMise(): string {
  const require = createRequire(join(rootDir, 'e2e/package.json'))
  return join(require.resolve('@jdxcode/mise-linux-x64/package.json'), '../bin/mise')
}
