import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { workspaceAt } from '@atomixos/image/workspace.ts'
import { describe, expect, test } from 'vitest'
import { createProgram } from '../program.ts'
import { TerminalReporter } from '../terminal-reporter.ts'
import { commandProblem, helpTexts, mentionedCommands, readTexts, shellWords } from './documented-commands.ts'

const rootDir = join(import.meta.dirname, '../../../..')
const program = createProgram({
  workspace: workspaceAt(rootDir),
  reporter: new TerminalReporter(),
  signal: new AbortController().signal,
})
const namesIn = (folder: string, ending: string) =>
  readdirSync(join(rootDir, folder)).flatMap((name) =>
    name.endsWith(ending) ? name.slice(0, -ending.length) : [],
  )
const names = { './atomixos e2e': namesIn('e2e', '.e2e.ts'), './atomixos bench': namesIn('bench', '.ts') }

const problemsOf = (texts: Awaited<ReturnType<typeof readTexts>>) =>
  texts.flatMap(mentionedCommands).flatMap(({ where, words }) => {
    const problem = commandProblem(program, words, names)
    return problem === undefined ? [] : [`${where}: ${problem}`]
  })

test('every command and option that documents, tasks and messages name is there', async () => {
  const texts = await readTexts(rootDir)
  expect(texts.map(({ path }) => path)).toContain('README.md')
  expect(texts.flatMap(mentionedCommands).length).toBeGreaterThan(100)
  expect(problemsOf(texts)).toEqual([])
})

test('so are those in the examples of every help', () => {
  const texts = helpTexts(program)
  expect(texts.length).toBeGreaterThan(20)
  expect(problemsOf(texts)).toEqual([])
})

describe('a command is found', () => {
  const inText = (text: string) =>
    mentionedCommands({ path: 'x.md', text }).map(({ where, words }) => [where, words.join(' ')])

  test('in blocks, with continued lines, comments and pipes', () => {
    const text = [
      '```sh',
      './atomixos build --level 3   # quick',
      'sudo ./atomixos flash \\',
      '  -y /dev/sdb',
      "./atomixos build --json | jq '.artifacts[].sha256'",
      '```',
    ].join('\n')
    expect(inText(text)).toEqual([
      ['x.md:2', 'build --level 3'],
      ['x.md:3', 'flash -y /dev/sdb'],
      ['x.md:5', 'build --json'],
    ])
  })

  test('between backticks, in tables, in strings and in source text', () => {
    expect(inText('Say `./atomixos e2e clock`, then `./atomixos test`.')).toEqual([
      ['x.md:1', 'e2e clock'],
      ['x.md:1', 'test'],
    ])
    expect(inText('| it | `./atomixos e2e clock`, `firmware` |')).toEqual([['x.md:1', 'e2e clock']])
    expect(inText('run = "./atomixos build squashfs"')).toEqual([['x.md:1', 'build squashfs']])
    const placeholder = '$' + '{dir}'
    expect(inText(`\`hint: \\\`./atomixos keys keyring ${placeholder} -o x.pem\\\` makes it\``)).toEqual([
      ['x.md:1', `keys keyring ${placeholder} -o x.pem`],
    ])
  })

  test('words keep what is quoted together', () => {
    expect(shellWords(' keys init --organization "Example GmbH" && rm x')).toEqual([
      'keys',
      'init',
      '--organization',
      'Example GmbH',
    ])
  })
})

describe('a command is judged', () => {
  const judge = (line: string) => commandProblem(program, shellWords(line), names)

  test.each([
    'build',
    'build rauc-bundle --level 3',
    'build ARTIFACT',
    'flash [-i IMAGE] [-y] [--config config.toml] DEVICE',
    'flash --image=x.img /dev/sdb',
    'vm --keep',
    'vm --keep lab --forward 2222:22',
    'e2e clock firmware',
    'keys',
    'bench -- build --help',
    '--help',
  ])('%s is one', (line) => {
    expect(judge(line)).toBeUndefined()
  })

  test.each([
    ['burn /dev/sdb', './atomixos has no command burn'],
    ['flash --force /dev/sdb', './atomixos flash has no option --force'],
    ['flash /dev/sdb /dev/sdc', './atomixos flash takes no "/dev/sdc"'],
    ['flash --image', '--image of ./atomixos flash needs a value'],
    ['build kernel', './atomixos build knows no kernel'],
    ['keys shine', './atomixos keys has no command shine'],
    ['e2e no-such-story', './atomixos e2e knows no no-such-story'],
  ])('%s is none: %s', (line, problem) => {
    expect(judge(line)).toBe(problem)
  })
})
