import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Command, Option } from 'commander'

/**
 * Whether every `./atomixos ...` that a person can read somewhere (documents, tasks, hints in messages, examples in help)
 * is a command that exists, with options that it knows. Pure, but for `readTexts`.
 */
export interface TextFile {
  /** Relative to the checkout. */
  readonly path: string
  readonly text: string
}

export interface MentionedCommand {
  /** `docs/flash.md:12` */
  readonly where: string
  /** What stands behind `./atomixos`, as words of a shell. */
  readonly words: readonly string[]
}

const programName = './atomixos'

/** Every command in a text: in lines that begin with it (blocks, examples, `run = "..."`), and between backticks. */
export function mentionedCommands({ path, text }: TextFile): MentionedCommand[] {
  const found: MentionedCommand[] = []
  // A line that ends in a backslash goes on. Source text writes it twice, and line ends and backticks with one.
  const joined = text
    .replaceAll(/\\{1,2}\n\s*/g, '\u2028')
    .replaceAll('\\n', '  ')
    .replaceAll('\\`', '`')
  for (const match of joined.matchAll(/(^|[\s`"'([$])\.\/atomixos(?=[\s`"')\],.:;]|$)/gm)) {
    const at = match.index + match[0].length
    const rest = joined.slice(at, endOfCommand(joined, at, match[1]!))
    // Each continued line was one line of the file.
    const line = joined.slice(0, at).split(/[\n\u2028]/).length
    found.push({ where: `${path}:${line}`, words: shellWords(rest.replaceAll('\u2028', ' ')) })
  }
  return found
}

/** A command between backticks or quotes ends with these, any other with its line. */
function endOfCommand(text: string, from: number, opening: string): number {
  const lineEnd = text.indexOf('\n', from)
  const end = lineEnd === -1 ? text.length : lineEnd
  // Behind `sudo` or a variable the opening quote stands earlier.
  const lineStart = text.lastIndexOf('\n', from) + 1
  const before = text.slice(lineStart, from)
  const quote = /[`"']/.test(opening) ? opening : before.split('`').length % 2 === 0 ? '`' : ''
  const close = quote === '' ? -1 : text.indexOf(quote, from)
  return close === -1 ? end : Math.min(close, end)
}

/** Words up to a pipe, a list operator, a redirection or a comment; quotes are taken off. */
export function shellWords(text: string): string[] {
  const words: string[] = []
  // A line of a table of examples has its explanation behind wide space.
  const command = text.replace(/\\$/, '').split(/\s{2,}(?=[a-z.'])/, 1)[0]!
  for (const match of command.matchAll(/\s*(?:"([^"]*)"|'([^']*)'|(\S+))/g)) {
    const quoted = match[1] ?? match[2]
    if (quoted !== undefined) {
      words.push(quoted)
      continue
    }
    const word = match[3]!
    if (/^(\||\|\||&&|&|;|>|>>|<|2>|#.*|…|\.\.\.)$/.test(word) || word.startsWith('#')) break
    words.push(word.replace(/[;,.:)'"]+$/, ''))
    if (/[;)]$/.test(word)) break
  }
  return words.filter((word) => word !== '')
}

/** Why such a command would be refused; undefined when it would not be. `names` knows what a name must be one of. */
export function commandProblem(
  program: Command,
  words: readonly string[],
  names: Readonly<Record<string, readonly string[]>> = {},
): string | undefined {
  let command = program
  let positional = 0
  for (let n = 0; n < words.length; n += 1) {
    // `[-i IMAGE]`: what may be left out.
    const word = words[n]!.replace(/^\[+/, '').replace(/\]+$/, '')
    if (word === '--') return undefined
    if (word.startsWith('-') && word !== '-') {
      const [flag, value] = word.split('=', 2) as [string, string | undefined]
      if (flag === '--help' || flag === '-h') continue
      const option = findOption(command, flag)
      // What it does not know itself, it hands on.
      if (option === undefined && command.registeredArguments.at(-1)?.name() === 'OPTION') return undefined
      if (option === undefined) return `${pathOf(command)} has no option ${flag}`
      if (option.required && value === undefined) {
        n += 1
        if (words[n] === undefined) return `${flag} of ${pathOf(command)} needs a value`
      } else if (option.optional && value === undefined && isValue(words[n + 1])) n += 1
      continue
    }
    const inner = positional === 0 ? command.commands.find((one) => one.name() === word) : undefined
    if (inner !== undefined) {
      command = inner
      continue
    }
    if (isPlaceholder(word) && command.commands.length > 0) return undefined
    const expected = command.registeredArguments
    const argument = expected[positional] ?? (expected.at(-1)?.variadic ? expected.at(-1) : undefined)
    if (argument === undefined) {
      return command.commands.length > 0
        ? `${pathOf(command)} has no command ${word}`
        : `${pathOf(command)} takes no "${word}"`
    }
    const choices = argument.argChoices ?? names[pathOf(command)]
    if (choices !== undefined && !isPlaceholder(word) && !choices.includes(word)) {
      return `${pathOf(command)} knows no ${word}`
    }
    positional += 1
  }
  return undefined
}

function findOption(command: Command, flag: string): Option | undefined {
  for (let of: Command | null = command; of !== null; of = of.parent) {
    const found = of.options.find(({ long, short }) => long === flag || short === flag)
    if (found !== undefined) return found
  }
  return undefined
}

/** `FILE`, `<name>`, `${path}`: stands for what a person fills in. */
function isPlaceholder(word: string): boolean {
  return /^[A-Z][A-Z0-9_:-]*$|^<.*>$|\$\{?|[*…]|\.\.\.$/.test(word)
}

function isValue(word: string | undefined): boolean {
  return word !== undefined && !word.startsWith('-') && !word.startsWith('[')
}

function pathOf(command: Command): string {
  const names: string[] = []
  for (let of: Command | null = command; of?.parent; of = of.parent) names.unshift(of.name())
  return [programName, ...names].join(' ')
}

/** The help of every command, as people see it. */
export function helpTexts(program: Command): TextFile[] {
  const texts: TextFile[] = []
  const visit = (command: Command) => {
    let text = ''
    command.configureOutput({ writeOut: (part) => (text += part) })
    command.outputHelp()
    texts.push({ path: `${pathOf(command)} --help`, text })
    for (const inner of command.commands) visit(inner)
  }
  visit(program)
  return texts
}

const ignored = new Set(['node_modules', '.git', '.atomixos', 'dist'])

/** Documents, sources and the tasks of mise. */
export async function readTexts(rootDir: string): Promise<TextFile[]> {
  const texts: TextFile[] = []
  const visit = async (folder: string) => {
    const entries = await readdir(join(rootDir, folder), { withFileTypes: true })
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`
      if (entry.isDirectory() && !ignored.has(entry.name)) await visit(path)
      else if (/\.(md|toml|sh|ts)$/.test(entry.name) && !/documented-commands/.test(entry.name)) {
        texts.push({ path, text: await readFile(join(rootDir, path), 'utf8') })
      }
    }
  }
  await visit('')
  return texts
}
