/** Every `atomixctl ...` that the documents have a person type is one that its own help tells of, with options it knows. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { beforeAll, expect, test } from 'vitest'
import { readTexts } from './documented-commands.ts'

const rootDir = join(import.meta.dirname, '../../../..')

/** `status`, `config apply`, `watchdog on`; and `--json`. */
let commands: ReadonlySet<string>
let options: ReadonlySet<string>
beforeAll(async () => {
  const program = join(rootDir, 'packages/device/src/main.ts')
  const { stdout } = await promisify(execFile)(process.execPath, [program, '--help'])
  commands = new Set(
    [...stdout.matchAll(/^ {2}atomixctl ([a-z]+(?:-[a-z]+)*)(?: ([a-z]+(?:\|[a-z]+)*)(?= ))?/gm)].flatMap(
      ([, first, second]) =>
        second === undefined ? [first!] : second.split('|').map((one) => `${first} ${one}`),
    ),
  )
  options = new Set([...stdout.matchAll(/(?<=\s)--[a-z-]+/g)].map(([option]) => option))
})

/** What is wrong with the words behind `atomixctl`; undefined: nothing. */
function problem(text: string): string | undefined {
  const words = text.trim().split(/\s+/)
  const [first = '', second = ''] = words
  const named = [first, `${first} ${second}`].some((name) => commands.has(name))
  // In running text `atomixctl config` stands for all of them.
  const group = second === '' && [...commands].some((name) => name.startsWith(`${first} `))
  if (!named && !group) return `no such command: ${first} ${second}`.trim()
  const unknown = words
    .filter((word) => word.startsWith('--'))
    .find((word) => !options.has(word.split('=')[0]!))
  return unknown === undefined ? undefined : `no such option: ${unknown}`
}

/** Between backticks, and at the start of a line of a block. */
function mentions(text: string): string[] {
  const spans = [...text.matchAll(/`(?:run0 )?atomixctl ([^`\n]+)`/g)]
  const lines = [
    ...text.matchAll(/^ *(?:[\w@. ]+ run0 )?atomixctl ([^`\n]+?)(?: {2,}.*| +#.*| *[>|&].*)?$/gm),
  ]
  return [...spans, ...lines].map(([, words]) => words!)
}

test('help is understood', () => {
  expect([...commands]).toEqual(
    expect.arrayContaining([
      'status',
      'config apply',
      'watchdog off',
      'fleet enrol',
      'report',
      'network reload',
    ]),
  )
  expect([...options]).toEqual(expect.arrayContaining(['--json', '--confirm', '--ca', '--allow-older']))
})

test('every command of the device in the documents is there', async () => {
  const texts = (await readTexts(rootDir)).filter(({ path }) => path.endsWith('.md'))
  const found = texts.flatMap(({ path, text }) => mentions(text).map((words) => ({ path, words })))
  expect(found.length).toBeGreaterThan(40)
  const problems = found.flatMap(({ path, words }) => {
    const wrong = problem(words)
    return wrong === undefined ? [] : [`${path}: atomixctl ${words}: ${wrong}`]
  })
  expect(problems).toEqual([])
})

test.each([
  ['explode', 'no such command: explode'],
  ['config aply x.toml', 'no such command: config aply'],
  ['status --jsn', 'no such option: --jsn'],
  ['config', undefined],
  ['update install FILE --allow-older', undefined],
])('`atomixctl %s`: %s', (words, expected) => {
  expect(problem(words)).toBe(expected)
})
