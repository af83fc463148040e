/**
 * Long-running programs that never outlive us. Three nets, as any of them can be cut: the scope that started
 * the program ends it; on an orderly exit of this process every one still there is killed; and the kernel kills
 * it when this process dies in any other way (`setpriv --pdeathsig`). Each has a deadline besides.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { MachineError, seconds } from './errors.ts'
import { environmentOf, killGroup } from './run.ts'
import type { Programs } from './types.ts'

export interface ChildOptions {
  readonly programs: Programs
  readonly argv: readonly string[]
  /** Standard output and error are appended to it. */
  readonly logPath: string
  readonly deadlineMs: number
  readonly env?: Readonly<Record<string, string>>
  /** Entered before anything else: the namespaces of a lab. */
  readonly enter?: (argv: readonly string[]) => readonly string[]
  readonly stdin?: 'ignore' | 'pipe'
}

export interface Child {
  readonly pid: number
  readonly process: ChildProcess
  readonly running: boolean
  /** How it ended, in words: `exit code 1`, `killed by SIGKILL`. Never rejects. */
  readonly exited: Promise<string>
  /** SIGKILL; returns when it is gone. */
  kill(): Promise<void>
  signal(signal: NodeJS.Signals): void
}

/** The signal is only sent for deaths after it was asked for; this catches the ones before. */
const unlessOrphaned = '[ "$PPID" = "$0" ] && exec "$@"'

const alive = new Set<number>()
process.on('exit', () => {
  for (const pid of alive) killGroup(pid)
})

export async function startChild(options: ChildOptions): Promise<Child> {
  const { programs, logPath, deadlineMs } = options
  // After entering namespaces: changing credentials clears the parent-death signal.
  const guarded = [
    ...[...programs.argv('setpriv'), '--pdeathsig', 'KILL', '--'],
    ...[...programs.argv('sh'), '-c', unlessOrphaned, String(process.pid)],
    ...options.argv,
  ]
  const [file, ...args] = options.enter?.(guarded) ?? guarded
  const log = openSync(logPath, 'a', 0o644)
  let child: ChildProcess
  try {
    child = spawn(file!, args, {
      env: environmentOf(programs, options.env),
      stdio: [options.stdin ?? 'ignore', log, log],
      detached: true,
    })
  } finally {
    closeSync(log)
  }
  let running = true
  const exited = new Promise<string>((resolve) => {
    child.once('exit', (code, signal) =>
      resolve(signal === null ? `exit code ${code}` : `killed by ${signal}`),
    )
    child.once('error', (error) => resolve(`not started: ${error.message}`))
  }).finally(() => {
    running = false
    clearTimeout(deadline)
    if (child.pid !== undefined) alive.delete(child.pid)
  })
  const deadline = setTimeout(() => {
    expired = true
    killGroup(child.pid)
  }, deadlineMs)
  deadline.unref()
  let expired = false
  if (child.pid === undefined) throw new MachineError(`could not start ${file}: ${await exited}`)
  const pid = child.pid
  alive.add(pid)
  return {
    pid,
    process: child,
    get running() {
      return running
    },
    exited: exited.then((how) => (expired ? `killed at its deadline of ${seconds(deadlineMs)}` : how)),
    async kill() {
      if (running) killGroup(pid)
      await exited
    },
    signal(signal) {
      if (running) process.kill(pid, signal)
    },
  }
}
