/** The real command on a real terminal of the kernel: what socat writes into its other side comes from the board. */
import { execFile, spawn } from 'node:child_process'
import { closeSync, existsSync, openSync, readdirSync, readlinkSync, realpathSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { openTestInputs } from '@atomixos/image/tools/test-inputs.ts'
import type { ToolTree } from '@atomixos/image/tools/tools.ts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { TextFinder } from '../serial/find-text.ts'

const main = join(import.meta.dirname, '../main.ts')

let tools: ToolTree
let dir: string
beforeAll(async () => {
  tools = await (await openTestInputs()).toolTree('tools-machine')
  dir = await mkdtemp(join(tmpdir(), 'atomixos-serial-'))
})
afterAll(() => rm(dir, { recursive: true, force: true }))

async function waitFor<T>(
  what: string,
  look: () => T | undefined | false | Promise<T | undefined | false>,
): Promise<T> {
  for (let waited = 0; waited < 40_000; waited += 20) {
    const seen = await look()
    if (seen) return seen
    await sleep(20)
  }
  throw new Error(`waited 40 s for ${what}`)
}

let boards = 0
/** A board on a cable: `device` is what the command opens. */
async function connectBoard() {
  boards += 1
  const device = join(dir, `tty-${boards}`)
  const { loader, env } = tools.unconfined()
  const [program, ...rest] = [
    ...loader,
    join(tools.dir, 'usr/bin/socat'),
    `PTY,link=${device},rawer,wait-slave`,
    'STDIO',
  ]
  const child = spawn(program!, rest, { stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, ...env } })
  let heard = ''
  child.stdout.on('data', (bytes: Buffer) => {
    heard += bytes.toString('latin1')
  })
  await waitFor('the terminal', () => existsSync(device))
  return {
    device,
    says: (words: string) => child.stdin.write(words, 'latin1'),
    hears: (words: string) => waitFor(`"${words}" from the command`, () => heard.includes(words)),
    pullOut: () => child.kill('SIGKILL'),
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
    },
  }
}

function start(...args: string[]) {
  const env = { ...process.env, NODE_COMPILE_CACHE: join(dir, 'compile-cache') }
  const child = spawn(process.execPath, [main, 'serial', ...args], { stdio: 'pipe', env })
  let shown = ''
  child.stdout.on('data', (bytes: Buffer) => {
    shown += bytes.toString('latin1')
  })
  const ended = Promise.all([
    text(child.stderr),
    new Promise<number | null>((resolve) => child.once('close', resolve)),
  ]).then(([stderr, exitCode]) => ({ stdout: shown, stderr, exitCode }))
  return {
    child,
    ended,
    shows: (words: string) => waitFor(`"${words}" on the terminal`, () => shown.includes(words)),
  }
}

/** The line as the kernel has it. */
async function settingsOf(device: string): Promise<string> {
  const file = openSync(device, 'r')
  try {
    return await text(spawn('stty', ['-a'], { stdio: [file, 'pipe', 'inherit'] }).stdout!)
  } finally {
    closeSync(file)
  }
}

/**
 * Until then the board would speak to a terminal that echoes. Nobody else may look at the line before, or the command would
 * take that for another reader: it opens the line a second time when it has set it.
 */
const isSet = (device: string, { child }: ReturnType<typeof start>) =>
  waitFor('the command to set the line', () => {
    const folder = `/proc/${child.pid}/fd`
    const linkOf = (name: string) => {
      try {
        return readlinkSync(join(folder, name))
      } catch {
        return ''
      }
    }
    const real = realpathSync(device)
    return readdirSync(folder).filter((name) => linkOf(name) === real).length >= 2
  })

test('capture sets the speed of the Rock64 and raw bytes, and records until a text has come', async () => {
  await using board = await connectBoard()
  const record = join(dir, 'boot.log')
  const command = start('capture', board.device, '-o', record, '--until', 'login:')
  await isSet(board.device, command)
  const settings = await settingsOf(board.device)
  expect(settings).toContain('speed 1500000 baud')
  for (const setting of ['-icanon', '-echo', '-ixon', '-opost', 'cs8', '-hupcl', 'clocal']) {
    expect(settings).toMatch(new RegExp(`(^|\\s)${setting}(;|\\s)`, 'm'))
  }
  board.says('U-Boot 2025.01\r\n\0\xff\x03\x04\x11\x13')
  await sleep(50)
  board.says('atomixos log')
  await sleep(50)
  board.says('in: ')
  expect(await command.ended).toMatchObject({ exitCode: 0, stdout: '' })
  expect((await readFile(record)).toString('latin1')).toBe(
    'U-Boot 2025.01\r\n\0\xff\x03\x04\x11\x13atomixos login: ',
  )
})

test('capture goes to standard output until Ctrl-C', async () => {
  await using board = await connectBoard()
  const command = start('capture', board.device)
  const { child, ended, shows } = command
  await isSet(board.device, command)
  board.says('hello\r\n')
  await shows('hello\r\n')
  child.kill('SIGINT')
  expect(await ended).toMatchObject({ exitCode: 0, stdout: 'hello\r\n' })
})

test('a text that does not come in time is a failure with a hint', async () => {
  await using board = await connectBoard()
  const { ended } = start('capture', board.device, '--until', 'login:', '--seconds', '1')
  expect(await ended).toMatchObject({
    exitCode: 1,
    stderr: `atomixos: ${board.device} did not say "login:" within 1 s\n  it said nothing at all: are the two data lines swapped?\n`,
  })
})

test('a record is never written over', async () => {
  await using board = await connectBoard()
  const { ended } = start('capture', board.device, '-o', main)
  expect(await ended).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining(`${main} cannot be made: EEXIST`),
  })
})

test('in the shell keys go to the board, Ctrl-C as well, and Ctrl-] leaves', async () => {
  await using board = await connectBoard()
  const command = start('shell', board.device)
  const { child, ended, shows } = command
  await isSet(board.device, command)
  board.says('=> ')
  await shows('=> ')
  child.stdin.write('printenv\r\x03')
  await board.hears('printenv\r\x03')
  child.stdin.write('\x1d')
  expect(await ended).toMatchObject({
    exitCode: 0,
    stderr: `${board.device} at 1500000 baud; Ctrl-] leaves\n`,
  })
})

test('an adapter that is pulled out ends it with the reason', async () => {
  await using board = await connectBoard()
  const command = start('shell', board.device)
  await isSet(board.device, command)
  board.pullOut()
  const { stderr, exitCode } = await command.ended
  expect(exitCode).toBe(1)
  expect(stderr).toMatch(new RegExp(`atomixos: ${board.device} is gone: .*\n  the adapter was pulled out`))
})

test('a line that somebody else reads is refused, with who it is', async () => {
  await using board = await connectBoard()
  const first = start('capture', board.device)
  await isSet(board.device, first)
  const { stderr, exitCode } = await start('capture', board.device).ended
  expect({ exitCode, stderr }).toMatchObject({
    exitCode: 2,
    stderr: expect.stringMatching(
      new RegExp(`${board.device} is open in .* \\(process ${first.child.pid}\\)`),
    ),
  })
  first.child.kill('SIGINT')
  await first.ended
})

test('what is no serial device is refused', async () => {
  const run = async (...args: string[]) => {
    const argv = [main, 'serial', ...args]
    return promisify(execFile)(process.execPath, argv).catch(
      (error: { code: number; stderr: string }) => error,
    )
  }
  expect(await run('capture', '/dev/null')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('atomixos: /dev/null is no serial device\n'),
  })
  expect(await run('shell', '/dev/ttyUSB99')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('/dev/ttyUSB99 cannot be opened: ENOENT'),
  })
})

test('a text is found over the borders of pieces', () => {
  const pieces = (wanted: string, ...given: string[]) => {
    const finder = new TextFinder(wanted)
    return given.map((piece) => finder.add(Buffer.from(piece)))
  }
  expect(pieces('login:', 'log', 'in', ':')).toEqual([false, false, true])
  expect(pieces('aab', 'aa', 'ab')).toEqual([false, true])
  expect(pieces('x', 'y', 'z', 'x')).toEqual([false, false, true])
})
