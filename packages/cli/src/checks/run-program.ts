import { spawn } from 'node:child_process'

/**
 * Runs a program of this project's own node_modules in the checkout, its output going where ours goes.
 * Resolves to its exit code; killed with the caller's signal.
 */
export function runProgram(
  argv: readonly [string, ...string[]],
  options: {
    cwd: string
    signal: AbortSignal
    env?: Readonly<Record<string, string>>
    /** 'stderr': its stdout is talk and goes to stderr. */
    stdout?: 'inherit' | 'stderr'
  },
): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(argv[0], argv.slice(1), {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: ['inherit', options.stdout === 'stderr' ? 2 : 'inherit', 'inherit'],
    })
    const stop = () => child.kill('SIGTERM')
    options.signal.addEventListener('abort', stop, { once: true })
    child.once('error', reject)
    child.once('close', (code, signal) => {
      options.signal.removeEventListener('abort', stop)
      resolve(code ?? (signal === null ? 1 : 128))
    })
  })
}
