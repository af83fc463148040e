/** Somebody sits at a terminal with docs/quick-start.md, types `./atomixos vm`, and talks to the device. */
import { type ChildProcess, spawn } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { quickStart } from './quick-start.ts'
import { programs, setup } from './setup.ts'

const keptName = `story-${process.pid}`
const bootMs = 300_000
const { shown } = quickStart
const [askStatus, leaveNote] = quickStart.first
const [readNote] = quickStart.second
const ctrlC = '\x03'
const ctrlBracket = '\x1d'

/** A terminal (a real pseudo-terminal, by script(1)) in which one command runs. */
class Terminal {
  readonly #child: ChildProcess
  #screen = ''
  #seen = 0
  #closed = false
  readonly exit: Promise<number | null>

  constructor(command: string) {
    const [program, ...loader] = programs.argv('script')
    this.#child = spawn(
      program!,
      [...loader, '--quiet', '--flush', '--return', '--command', command, '/dev/null'],
      {
        cwd: setup.rootDir,
        env: { ...process.env, TERM: 'vt220', SHELL: '/bin/sh' },
        stdio: ['pipe', 'pipe', 'inherit'],
      },
    )
    this.#child.stdout!.on('data', (bytes: Buffer) => {
      this.#screen += bytes.toString('latin1')
    })
    this.exit = new Promise((resolve) =>
      this.#child.once('close', (code) => {
        this.#closed = true
        resolve(code)
      }),
    )
  }

  /** Waits until the screen shows it, after all that was waited for before. */
  async sees(pattern: RegExp, timeoutMs: number): Promise<string> {
    const deadline = Date.now() + timeoutMs
    while (Date.now() < deadline) {
      // Asked before the look: once it has closed, nothing more can appear.
      const closed = this.#closed
      const match = pattern.exec(this.#screen.slice(this.#seen))
      if (match) {
        this.#seen += match.index + match[0].length
        return match[0]
      }
      await new Promise((resolve) => setTimeout(resolve, 100))
      if (closed) break
    }
    throw new Error(
      `the terminal did not show ${pattern} within ${timeoutMs / 1000} s; its end was:\n${this.#screen.slice(-3000)}`,
    )
  }

  types(text: string): void {
    this.#child.stdin!.write(text)
  }

  async leave(): Promise<void> {
    if (this.#child.exitCode !== null) return
    this.types(ctrlBracket)
    const killed = setTimeout(() => this.#child.kill('SIGKILL'), 20_000)
    await this.exit
    clearTimeout(killed)
  }
}

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
