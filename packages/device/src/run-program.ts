import { execFile } from 'node:child_process'

export interface ProgramResult {
  /** undefined: it could not be started, or was killed. */
  readonly exitCode: number | undefined
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program to its end, with C locale and a deadline; never throws. */
export function runProgram(
  argv: readonly [string, ...string[]],
  options: { readonly timeoutMs: number; readonly stdin?: string },
): Promise<ProgramResult> {
  const [program, ...args] = argv
  return new Promise((resolve) => {
    const child = execFile(
      program,
      args,
      {
        timeout: options.timeoutMs,
        killSignal: 'SIGKILL',
        maxBuffer: 16 * 1024 * 1024,
        env: { PATH: '/usr/sbin:/usr/bin', LC_ALL: 'C.UTF-8' },
      },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : undefined
        const silent = error !== null && stderr.trim() === ''
        resolve({ exitCode: code, stdout, stderr: silent ? error.message : stderr })
      },
    )
    // A program that does not read its input must not end us.
    child.stdin?.on('error', () => {})
    child.stdin?.end(options.stdin ?? '')
  })
}

/** The last line a program had to say, which is where programs say why. */
export function lastLine(result: ProgramResult): string {
  const text = result.stderr.trim() || result.stdout.trim()
  return (
    text.split('\n').at(-1) ||
    (result.exitCode === undefined ? 'it was stopped' : `exit code ${result.exitCode}`)
  )
}
