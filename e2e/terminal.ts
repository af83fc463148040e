import { type ChildProcess, spawn } from 'node:child_process'
import { programs, setup } from './setup.ts'

/** What ends the stay on a console: in `./atomixos vm` the machine with it. */
export const ctrlBracket = '\x1d'

/** A terminal (a real pseudo-terminal, by script(1)) in which one command runs. */
export class Terminal {
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
