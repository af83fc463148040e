import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { UserError } from '../errors.ts'

/** One program run to its end: argument array, environment built from nothing, deadline, signal to stop. */
export interface ProcessSpec {
  readonly argv: readonly [string, ...string[]]
  /** How errors show the command; the real one has a long prefix. */
  readonly shownArgv: readonly string[]
  readonly purpose: string
  readonly env: Readonly<Record<string, string>>
  readonly cwd?: string
  readonly stdin?: Uint8Array
  readonly timeoutMs: number
  readonly signal?: AbortSignal
  readonly onLine?: (line: string) => void
}

/** A program that did not do what it was started for: timed out, killed, not found or a bad exit code. */
export class ProgramFailed extends UserError {
  readonly exitCodeOfProgram: number | undefined
  readonly stdout: string
  readonly stderr: string

  constructor(
    message: string,
    facts: { exitCodeOfProgram?: number; stdout: string; stderr: string; cause?: unknown },
  ) {
    super(message, facts.cause === undefined ? {} : { cause: facts.cause })
    this.exitCodeOfProgram = facts.exitCodeOfProgram
    this.stdout = facts.stdout
    this.stderr = facts.stderr
  }
}

/** A second Ctrl-C ends us without a chance to wait: no group must be left behind. */
const running = new Set<() => void>()
process.on('exit', () => {
  for (const kill of running) kill()
})

const linesShown = 20
const outputBytesMax = 64 << 20

/** Throws ProgramFailed, or the signal's reason when it was aborted. Nothing of the process group survives. */
export async function runProcess(spec: ProcessSpec): Promise<{ stdout: string; stderr: string }> {
  spec.signal?.throwIfAborted()
  const child = withUsualUmask(() =>
    spawn(spec.argv[0], spec.argv.slice(1), {
      cwd: spec.cwd,
      env: spec.env,
      stdio: [spec.stdin === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
      detached: true,
    }),
  )
  const collected = { stdout: '', stderr: '' }
  const tail: string[] = []
  let timedOut = false
  let flooded = false
  let ended = false
  const kill = () => {
    // Once it has been waited for, its number may be someone else's.
    if (ended) return
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
    } catch {
      // Already gone.
    }
  }
  const timer = setTimeout(() => {
    timedOut = true
    kill()
  }, spec.timeoutMs)
  spec.signal?.addEventListener('abort', kill)
  running.add(kill)
  try {
    for (const name of ['stdout', 'stderr'] as const) {
      let rest = ''
      const stream = child[name]!.setEncoding('utf8')
      stream.on('data', (text: string) => {
        if (collected[name].length < outputBytesMax) collected[name] += text
        else {
          flooded = true
          kill()
        }
        const lines = (rest + text).split('\n')
        rest = lines.pop()!
        for (const line of lines) see(line)
      })
      stream.on('end', () => {
        if (rest !== '') see(rest)
      })
    }
    if (spec.stdin !== undefined) {
      // A program that does not read all of its input says itself what was wrong with it.
      child.stdin!.on('error', () => {})
      child.stdin!.end(spec.stdin)
    }
    const { code, signal } = await new Promise<{ code: number | null; signal: string | null }>(
      (resolve, reject) => {
        child.on('error', reject)
        child.on('close', (code, signal) => {
          ended = true
          resolve({ code, signal })
        })
      },
    ).catch((error: NodeJS.ErrnoException) => {
      throw failure(
        error.code === 'ENOENT' ? 'program not found' : `could not be started (${error.code})`,
        error,
      )
    })
    spec.signal?.throwIfAborted()
    if (timedOut) throw failure(`timed out after ${spec.timeoutMs / 1000} s`)
    if (flooded) throw failure('wrote more output than anyone can use')
    if (code !== 0)
      throw failure(
        signal === null ? describeExit(code!) : `killed by ${signal}`,
        undefined,
        code ?? undefined,
      )
    return collected
  } finally {
    clearTimeout(timer)
    spec.signal?.removeEventListener('abort', kill)
    running.delete(kill)
    kill()
  }

  function see(line: string): void {
    tail.push(line)
    if (tail.length > linesShown) tail.shift()
    spec.onLine?.(line)
  }

  function failure(what: string, cause?: unknown, exitCodeOfProgram?: number): ProgramFailed {
    const command = spec.shownArgv.map(quoted).join(' ')
    const output = tail.length === 0 ? '  (no output)' : tail.map((line) => `  ${line}`).join('\n')
    return new ProgramFailed(`${spec.purpose}: ${what}\n  ${command}\n${output}`, {
      ...collected,
      ...(exitCodeOfProgram === undefined ? {} : { exitCodeOfProgram }),
      ...(cause === undefined ? {} : { cause }),
    })
  }
}

/** The modes of what a program makes must not depend on who runs the build. */
function withUsualUmask<T>(start: () => T): T {
  const own = process.umask(0o022)
  try {
    return start()
  } finally {
    process.umask(own)
  }
}

/** Shells and sandboxes report a program that was killed by a signal as 128 plus the signal's number. */
function describeExit(code: number): string {
  const name = Object.entries(constants.signals).find(([, number]) => number === code - 128)?.[0]
  return name === undefined ? `exit code ${code}` : `killed by ${name} (exit code ${code})`
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
}
