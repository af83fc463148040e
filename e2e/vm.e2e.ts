/** Somebody sits at a terminal, types `./atomixos vm` or `./atomixos e2e debug`, and talks to the device. */
import { existsSync } from 'node:fs'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { quickStart } from './quick-start.ts'
import { setup, thoroughly } from './setup.ts'
import { ctrlBracket, Terminal } from './terminal.ts'

const keptName = `story-${process.pid}`
const bootMs = 300_000
const { shown } = quickStart
const [askStatus, leaveNote] = quickStart.first
const [readNote] = quickStart.second
const ctrlC = '\x03'
const ctrlD = '\x04'

describe('vm', () => {
  let terminal: Terminal | undefined
  afterEach(() => terminal?.leave())
  afterAll(() =>
    rm(join(setup.workDir, '../machines', `vm-rock64-kept-${keptName}`), { recursive: true, force: true }),
  )

  test('it boots, shows how to leave and which port leads in, and answers', async () => {
    terminal = new Terminal(`${quickStart.vm} ${keptName}`)
    await terminal.sees(shown.port, 180_000)
    await terminal.sees(shown.leave, 60_000)
    await terminal.sees(shown.selector, 180_000)
    await terminal.sees(/root@\S+:~# /, bootMs)
    terminal.types(`${askStatus}\r`)
    await terminal.sees(shown.status, 180_000)
    // A person's Ctrl-C goes to the program in the machine, and ends neither the machine nor the command.
    terminal.types('sleep 1000\r')
    await terminal.sees(/sleep 1000/, 60_000)
    terminal.types(ctrlC)
    terminal.types(`${leaveNote}\r`)
    await terminal.sees(shown.note, 60_000)
    expect(await terminal.exit).toBe(0)
  })

  test('a kept disk is the same one next time, and Ctrl-] ends the machine', async () => {
    terminal = new Terminal(`${quickStart.vm} ${keptName}`)
    await terminal.sees(/root@\S+:~# /, bootMs)
    terminal.types(`${readNote}\r`)
    await terminal.sees(shown.note, 60_000)
    terminal.types(ctrlBracket)
    await terminal.sees(/the disk is kept in /, 60_000)
    expect(await terminal.exit).toBe(0)
  })
})

describe('e2e debug', () => {
  let terminal: Terminal | undefined
  // An empty one, which stands there when a line has been done; each key draws it anew with what was typed behind it.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the cursor is put behind it
  const prompt = /debug> \x1b\[8G/
  const keptDir = join(setup.workDir, '../machines', 'debug-kept-rauc-slots')
  const screenshot = `debug-story-${process.pid}.png`
  afterEach(() => terminal?.leave())
  afterAll(async () => {
    await rm(keptDir, { recursive: true, force: true })
    await rm(join(setup.rootDir, screenshot), { force: true })
  })

  /** Types a line, and waits for what it shows and for the next prompt. */
  async function says(line: string, shown: RegExp | undefined, timeoutMs = 60_000): Promise<void> {
    terminal!.types(`${line}\r`)
    // The terminal shows the line itself first.
    await terminal!.sees(/\n/, 60_000)
    if (shown !== undefined) await terminal!.sees(shown, timeoutMs)
    await terminal!.sees(prompt, timeoutMs)
  }

  test('a person starts the machine, asks it, is its root for a while, and leaves nothing running', async () => {
    // A kept disk of somebody's own stays theirs.
    expect(existsSync(keptDir)).toBe(false)
    terminal = new Terminal('./atomixos e2e debug -t rauc-slots --keep')
    await terminal.sees(/gateway of rauc-slots: it is off, as flashed/, 180_000)
    await terminal.sees(prompt, 60_000)
    await says('help()', /gateway\.shell\(\)/)
    await says('gateway.start()', undefined)
    await says('gateway.start()', /it runs already/)
    await says(`gateway.waitForUnit('multi-user.target', { timeoutMs: ${bootMs} })`, undefined, bootMs)
    await says("gateway.succeed('rauc status')", /Booted from: boot\.0 \(A\)/)
    // What went wrong is told in the words of the driver, without the stack of this program.
    await says("gateway.succeed('false')", /exit code 1/)
    await says("gateway.fail('exit 3').then(() => 'it failed')", /it failed/)
    await says(`gateway.screenshot('${screenshot}')`, /debug-story-\d+\.png/)
    expect((await readFile(join(setup.rootDir, screenshot))).subarray(1, 4).toString()).toBe('PNG')

    terminal.types('gateway.shell()\r')
    await terminal.sees(/Ctrl-\] comes back/, 60_000)
    await terminal.sees(/root@\S+:~# /, 120_000)
    terminal.types('echo $((40 + 2))-it; echo kept >/data/note; sync\r')
    await terminal.sees(/42-it/, 60_000)
    terminal.types(ctrlBracket)
    await terminal.sees(prompt, 60_000)

    await says('gateway.crash()', undefined)
    await says('gateway.running', /false/)
    terminal.types(ctrlD)
    await terminal.sees(/the disk is kept in /, 120_000)
    expect(await terminal.exit).toBe(0)
  })

  test.each(thoroughly)(
    'the kept disk is the same one next time, and an interrupted wait gives the prompt back',
    async () => {
      terminal = new Terminal('./atomixos e2e debug -t rauc-slots --keep')
      await terminal.sees(/it is off, with the disk that was kept/, 180_000)
      await terminal.sees(prompt, 60_000)
      await says('gateway.start()', undefined)
      terminal.types("gateway.waitForConsoleText('never said', { timeoutMs: 600000 })\r")
      await terminal.sees(/\n/, 60_000)
      terminal.types(ctrlC)
      await terminal.sees(prompt, 60_000)
      await says(`gateway.waitForUnit('multi-user.target', { timeoutMs: ${bootMs} })`, undefined, bootMs)
      await says("gateway.succeed('cat /data/note')", /kept/)
      terminal.types(ctrlD)
      await terminal.sees(/the disk is kept in /, 120_000)
      expect(await terminal.exit).toBe(0)
    },
  )
})
