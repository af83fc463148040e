import { spawn } from 'node:child_process'
import { wantsColour } from '../terminal-reporter.ts'

/**
 * Runs a program of this project's own node_modules in the checkout, its output going where ours goes, in colour
 * where ours is. Resolves to its exit code; killed with the caller's signal.
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
    const out = options.stdout === 'stderr' ? process.stderr : process.stdout
    const child = spawn(argv[0], argv.slice(1), {
      cwd: options.cwd,
      env: { ...process.env, ...colourChoice(out), ...options.env },
      stdio: ['inherit', handover(out), handover(process.stderr)],
    })
    child.stdout?.pipe(out, { end: false })
    child.stderr?.pipe(process.stderr, { end: false })
    const stop = () => {
      child.kill('SIGTERM')
      // Where our own output has failed nobody reads the rest, and unread it would hold up the end.
      child.stdout?.resume()
      child.stderr?.resume()
    }
    options.signal.addEventListener('abort', stop, { once: true })
    child.once('error', reject)
    child.once('close', (code, signal) => {
      options.signal.removeEventListener('abort', stop)
      resolve(code ?? (signal === null ? 1 : 128))
    })
  })
}

/** A terminal is the program's own. All else goes through us: when its reader leaves, we are the one who knows what to do. */
function handover(stream: NodeJS.WriteStream): 1 | 2 | 'pipe' {
  if (!stream.isTTY) return 'pipe'
  return stream === process.stderr ? 2 : 1
}

/** Programs look at their own output and at variables of CI services; ours is what counts. */
function colourChoice(stream: NodeJS.WriteStream): NodeJS.ProcessEnv {
  return wantsColour(stream, process.env) ? {} : { NO_COLOR: '1', FORCE_COLOR: undefined }
}
