import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { quickStart } from '@atomixos/e2e/quick-start.ts'
import { describe, expect, test } from 'vitest'
import { parsePage } from './markdown.ts'

const rootDir = join(import.meta.dirname, '../../../..')
const page = parsePage('docs/quick-start.md', await readFile(join(rootDir, 'docs/quick-start.md'), 'utf8'))
const lines = (language: string) =>
  page.blocks
    .filter((block) => block.language === language)
    .flatMap(({ text }) => text.split('\n').filter((line) => line !== ''))

/** Run by the test below; the stories behind it run by themselves. */
const validate = './atomixos config validate docs/examples/gateway.toml'
const stories = ['./atomixos e2e rauc-update', './atomixos e2e rauc-rollback']

describe('docs/quick-start.md', () => {
  test('has the commands that the story `vm` types, and stories, and nothing else', () => {
    expect(lines('sh')).toEqual([quickStart.build, quickStart.vm, quickStart.vm, validate, ...stories])
    expect(lines('console')).toEqual([...quickStart.first, ...quickStart.second])
  })

  test('quotes what the story sees, in its order', () => {
    const shown = lines('text').join('\n')
    let from = 0
    for (const pattern of Object.values(quickStart.shown)) {
      const place = shown.slice(from).search(pattern)
      expect(place, `${pattern}`).toBeGreaterThanOrEqual(0)
      from += place
    }
  })

  test('its configuration is one that a device takes', async () => {
    const [program, ...args] = validate.split(' ')
    const { stdout } = await promisify(execFile)(program!, args, { cwd: rootDir })
    expect(stdout).toBe('docs/examples/gateway.toml: a device takes it\n')
  })
})
