import { spawn } from 'node:child_process'
import { indent, ProgramError, seconds } from './errors.ts'
import type { CommandResult, Programs } from './types.ts'

export interface RunOptions {
  readonly timeoutMs?: number
  readonly stdin?: string | Uint8Array
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
}

const timeoutMsDefault = 60_000

/** An environment built from nothing: messages in English, no user settings. */
export function environmentOf(programs: Programs, extra: Readonly<Record<string, string>> = {}) {
  return { LC_ALL: 'C.UTF-8', HOME: '/nonexistent', PATH: '/usr/sbin:/usr/bin', ...programs.env, ...extra }
}

/** Runs a program of this machine to its end; throws only when it can't be started. */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<CommandResult> {
  const [file, ...args] = argv
  const child = spawn(file!, args, {
    env: { ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    stdio: ['pipe', 'pipe', 'pipe'],
    // A group of its own: Ctrl-C in the terminal reaches us alone, and we end what we started.
    detached: true,
  })
  const stdout: Buffer[] = []
  const stderr: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk))
  // A program that does not read its input closes the pipe; its exit code tells what matters.
  child.stdin.on('error', () => {})
  child.stdin.end(options.stdin ?? '')

  let timedOut = false
  const timer = setTimeout(() => {
    timedOut = true
    killGroup(child.pid)
  }, options.timeoutMs ?? timeoutMsDefault)
  try {
    const exitCode = await new Promise<number>((resolve, reject) => {
      child.once('error', (cause) => reject(new ProgramError(`not found: ${argv.join(' ')}`, { cause })))
      child.once('close', (code, signal) => resolve(code ?? (signal === null ? 1 : 137)))
    })
    const stdoutBytes = Buffer.concat(stdout)
    return {
      exitCode,
      stdout: stdoutBytes.toString(),
      stderr: Buffer.concat(stderr).toString(),
      stdoutBytes,
      timedOut,
    }
  } finally {
    clearTimeout(timer)
  }
}

/** `run` that insists on exit code 0; gives standard output. */
export async function runChecked(
  argv: readonly string[],
  options: RunOptions & { readonly purpose: string },
): Promise<string> {
  const result = await run(argv, options)
  if (result.exitCode === 0) return result.stdout
  throw new ProgramError(`could not ${options.purpose}: ${describeFailure(argv, result, options.timeoutMs)}`)
}

export function describeFailure(argv: readonly string[], result: CommandResult, timeoutMs?: number): string {
  const how = result.timedOut
    ? `timed out after ${seconds(timeoutMs ?? timeoutMsDefault)}`
    : `exit code ${result.exitCode}`
  const output = [result.stdout, result.stderr].filter((text) => text.trim() !== '').join('\n')
  return `${how}: ${argv.join(' ')}${output === '' ? '' : `\n${indent(output)}`}`
}

export function killGroup(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // Gone already.
  }
}
