import { spawn } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { chmod, chown, cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { UserError } from '@atomixos/image/errors.ts'
import type { Command } from 'commander'
import type { CommandContext } from '../context.ts'
import { openCircumstanceTools } from '../machine-tools.ts'

/** What surrounds a build and must not matter. */
interface Circumstances {
  readonly name: string
  /** Below the common temporary folder; names of different length. */
  readonly folder: string
  readonly umask: string
  readonly env: Readonly<Record<string, string>>
  /** Seconds added to the clock that programs see. */
  readonly clockOffsetSeconds: number
  readonly processors: number
  /** A user other than the one who runs the command. */
  readonly otherUser: boolean
}

const otherUid = 47_011

function bothCircumstances(): readonly [Circumstances, Circumstances] {
  return [
    {
      name: 'first',
      folder: 'a',
      umask: '022',
      env: { LANG: 'C.UTF-8', LC_ALL: 'C.UTF-8', TZ: 'UTC' },
      clockOffsetSeconds: 0,
      processors: availableParallelism(),
      otherUser: false,
    },
    {
      name: 'second',
      folder: 'another folder/with-a-longer-name',
      umask: '077',
      env: { LANG: 'tr_TR.UTF-8', LC_ALL: 'tr_TR.UTF-8', TZ: 'Pacific/Kiritimati' },
      clockOffsetSeconds: 400 * 24 * 3600 + 12_345,
      processors: 1,
      otherUser: true,
    },
  ]
}

export function addVerifyReproducible(program: Command, context: CommandContext): void {
  program
    .command('verify-reproducible')
    .description('build twice under different circumstances and compare every byte')
    .option('--board <NAME>', 'which board', 'rock64')
    .option('--dir <DIR>', 'where the two checkouts and their caches go (about 6 GB)', tmpdir())
    .option('--seed-difference', 'change one line in the second checkout: the command must then fail')
    .option('--level <N>', 'zstd level, to be quicker')
    .option('--json', 'the comparison as JSON')
    .addHelpText(
      'after',
      `
The two builds share nothing but the downloads, the development keys and the time in the signature. They differ
in folder, user, clock, umask, locale, time zone and number of processors.

Examples:
  ./atomixos verify-reproducible
  ./atomixos verify-reproducible --seed-difference --level 3
`,
    )
    .action((options) => verifyReproducible(context, options))
}

async function verifyReproducible(
  context: CommandContext,
  options: { board: string; dir: string; seedDifference?: boolean; level?: string; json?: boolean },
): Promise<void> {
  const { reporter, workspace } = context
  const tools = await openCircumstanceTools(context)
  const signingTimeSeconds = Math.floor(Date.now() / 1000)
  const baseDir = await mkdtemp(join(options.dir, 'atomixos-reproducible-'))
  await chmod(baseDir, 0o755)
  try {
    const sums: Map<string, string>[] = []
    for (const circumstances of bothCircumstances()) {
      const checkout = join(baseDir, circumstances.folder, 'checkout')
      await copyCheckout(workspace.rootDir, checkout)
      for (const shared of ['downloads', 'keys']) {
        await cp(join(workspace.cacheDir, shared), join(checkout, '.atomixos', shared), { recursive: true })
      }
      if (options.seedDifference && circumstances.name === 'second') await seedDifference(checkout)
      if (circumstances.otherUser && process.getuid?.() === 0) await chownTree(baseDir, checkout)
      const task = reporter.task(`build ${circumstances.name}: ${describe(circumstances)}`)
      const logPath = join(baseDir, `${circumstances.name}.log`)
      const argv = ['./atomixos', 'build', '--board', options.board, '--frozen']
      if (options.level) argv.push('--level', options.level)
      const exitCode = await runIn(circumstances, {
        argv,
        cwd: checkout,
        logPath,
        tools,
        signingTimeSeconds,
        signal: context.signal,
      })
      if (exitCode !== 0) {
        task.failed()
        throw new UserError(`the ${circumstances.name} build failed with exit code ${exitCode}`, {
          hint: `its last lines:\n${(await readFile(logPath, 'utf8')).trimEnd().split('\n').slice(-15).join('\n')}`,
        })
      }
      task.done()
      const sumsPath = join(checkout, 'dist', options.board, 'SHA256SUMS')
      sums.push(parseSums(await readFile(sumsPath, 'utf8')))
    }
    report(compareSums(sums[0]!, sums[1]!), options.json === true, context)
  } finally {
    await rm(baseDir, { recursive: true, force: true })
  }
}

export interface SumComparison {
  readonly name: string
  readonly first: string | undefined
  readonly second: string | undefined
  readonly equal: boolean
}

/** One row for each artifact of either build; an artifact that only one of them made is a difference. */
export function compareSums(
  first: ReadonlyMap<string, string>,
  second: ReadonlyMap<string, string>,
): SumComparison[] {
  const names = [...new Set([...first.keys(), ...second.keys()])].sort()
  return names.map((name) => {
    const [a, b] = [first.get(name), second.get(name)]
    return { name, first: a, second: b, equal: a !== undefined && a === b }
  })
}

/** Lines of sha256sum: hash, two spaces, name. */
export function parseSums(text: string): Map<string, string> {
  const sums = new Map<string, string>()
  for (const line of text.split('\n').filter(Boolean)) {
    const match = /^([0-9a-f]{64}) [ *](.+)$/.exec(line)
    if (!match) throw new Error(`not a line of SHA256SUMS: ${line}`)
    sums.set(match[2]!, match[1]!)
  }
  return sums
}

function report(rows: readonly SumComparison[], json: boolean, context: CommandContext): void {
  context.reporter.close()
  const different = rows.filter((row) => !row.equal)
  if (json) process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`)
  else {
    for (const row of rows) {
      const what = row.equal ? 'same     ' : 'DIFFERENT'
      process.stdout.write(`${what} ${row.name.padEnd(34)} ${row.first ?? 'missing'}\n`)
      if (!row.equal) process.stdout.write(`${' '.repeat(45)}${row.second ?? 'missing'}\n`)
    }
  }
  if (rows.length === 0) throw new UserError('neither build made anything that could be compared')
  if (different.length > 0) {
    throw new UserError(`${different.length} of ${rows.length} artifacts differ between the two builds`, {
      hint: 'start with the smallest one that differs: the image contains all others',
    })
  }
  if (!json) process.stdout.write(`\nall ${rows.length} artifacts are the same, byte for byte\n`)
}

/** Sources and node_modules, without history, caches and results. */
async function copyCheckout(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true })
  for (const name of await readdir(from)) {
    if (['.git', '.atomixos', 'dist'].includes(name)) continue
    await cp(join(from, name), join(to, name), {
      recursive: true,
      verbatimSymlinks: true,
      preserveTimestamps: true,
    })
  }
}

/** A comment would not do: it must reach the image. */
async function seedDifference(checkout: string): Promise<void> {
  const path = join(checkout, 'packages/device/src/main.ts')
  const text = await readFile(path, 'utf8')
  const changed = text.replace('Shows the state of this device.', 'Shows the state of this very device.')
  if (changed === text)
    throw new Error(`${relative(checkout, path)} no longer has the line that is to be changed`)
  await writeFile(path, changed)
}

async function chownTree(baseDir: string, checkout: string): Promise<void> {
  let dir = checkout
  while (dir !== baseDir) {
    await chmod(dir, 0o755)
    dir = join(dir, '..')
  }
  await chown(checkout, otherUid, otherUid)
  for (const entry of await readdir(checkout, { recursive: true, withFileTypes: true })) {
    if (!entry.isSymbolicLink()) await chown(join(entry.parentPath, entry.name), otherUid, otherUid)
  }
}

/** Programs of the tools tree with which circumstances are changed. */
export interface CircumstanceTools {
  /** `taskset -c 0` of the tree, ready to be followed by a command. */
  readonly oneProcessor: readonly string[]
  /** For an ordinary user: enter a user namespace under another id. */
  readonly otherUser: readonly string[]
}

async function runIn(
  circumstances: Circumstances,
  options: {
    argv: string[]
    cwd: string
    logPath: string
    tools: CircumstanceTools
    /** Part of the bundle, as the keys are; a release says when it was signed. */
    signingTimeSeconds: number
    signal: AbortSignal
  },
): Promise<number> {
  const { tools } = options
  const asRoot = process.getuid?.() === 0
  const command = [
    ...(circumstances.otherUser && !asRoot ? tools.otherUser : []),
    ...(circumstances.processors === 1 ? tools.oneProcessor : []),
    '/bin/sh',
    '-c',
    `umask ${circumstances.umask}; exec "$@"`,
    'sh',
    ...options.argv,
  ]
  const faked = circumstances.clockOffsetSeconds !== 0
  const log = createWriteStream(options.logPath)
  return new Promise((resolve, reject) => {
    const child = spawn(command[0]!, command.slice(1), {
      cwd: options.cwd,
      env: {
        PATH: process.env.PATH,
        HOME: options.cwd,
        ATOMIXOS_DEBIAN_MIRROR: process.env.ATOMIXOS_DEBIAN_MIRROR,
        NO_COLOR: '1',
        ATOMIXOS_SIGNING_TIME: String(options.signingTimeSeconds),
        ...circumstances.env,
        // Our own process gets another Date, the programs in the sandbox another clock (see the sandbox).
        ...(faked
          ? {
              NODE_OPTIONS: `--import=${shiftedClock(circumstances.clockOffsetSeconds)}`,
              ATOMIXOS_CLOCK_OFFSET: String(circumstances.clockOffsetSeconds),
            }
          : {}),
      },
      ...(circumstances.otherUser && asRoot ? { uid: otherUid, gid: otherUid } : {}),
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    child.stdout.pipe(log, { end: false })
    child.stderr.pipe(log, { end: false })
    const stop = () => child.kill('SIGTERM')
    options.signal.addEventListener('abort', stop, { once: true })
    child.once('error', reject)
    child.once('close', (code) => {
      options.signal.removeEventListener('abort', stop)
      log.end(() => resolve(code ?? 128))
    })
  })
}

/** A module that moves what JavaScript takes for the present; as a URL without spaces, for NODE_OPTIONS. */
function shiftedClock(offsetSeconds: number): string {
  const source = `const Real = Date, offset = ${offsetSeconds * 1000};
globalThis.Date = class Date extends Real {
  constructor(...args) { args.length === 0 ? super(Real.now() + offset) : super(...args) }
  static now() { return Real.now() + offset }
}`
  return `data:text/javascript,${encodeURIComponent(source)}`
}

function describe(circumstances: Circumstances): string {
  const parts = [
    `umask ${circumstances.umask}`,
    circumstances.env.LC_ALL!,
    circumstances.env.TZ!,
    `${circumstances.processors} CPU`,
    circumstances.otherUser ? 'another user' : 'this user',
  ]
  if (circumstances.clockOffsetSeconds !== 0) parts.push('clock 400 days ahead')
  return parts.join(', ')
}
