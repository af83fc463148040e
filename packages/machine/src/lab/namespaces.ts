/**
 * Namespaces and what keeps them open: a `cat` that waits for input from us. It ends when we do, however we end,
 * because its input ends then.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { MachineError } from '../errors.ts'
import { environmentOf, killGroup } from '../run.ts'
import type { Programs } from '../types.ts'

export interface Namespaces {
  readonly pid: number
  /** The argument vector that runs `argv` in here. No process is added in between: the program is our own child. */
  enter(argv: readonly string[]): readonly string[]
  close(): Promise<void>
}

const startLimitMs = 20_000

/** A user namespace in which we are root and nobody else exists, with a network of its own. */
export function openLabNamespaces(programs: Programs): Promise<Namespaces> {
  return open(
    programs,
    [...programs.argv('unshare'), '--user', '--map-root-user', '--net', '--'],
    ['user', 'net'],
  )
}

/** A further network within a lab. */
export function openHostNamespaces(programs: Programs, lab: Namespaces): Promise<Namespaces> {
  return open(programs, lab.enter([...programs.argv('unshare'), '--net', '--']), ['user', 'net'])
}

async function open(
  programs: Programs,
  unshare: readonly string[],
  kinds: readonly ('user' | 'net')[],
): Promise<Namespaces> {
  const [file, ...args] = [...unshare, ...programs.argv('cat')]
  const holder = spawn(file!, args, {
    env: environmentOf(programs),
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
  })
  const gone = new Promise<void>((resolve) => holder.once('close', () => resolve()))
  const problem = await firstEcho(holder)
  if (problem !== undefined) {
    killGroup(holder.pid)
    throw new MachineError(`no namespaces for a network lab: ${problem}`, {
      hint: 'unprivileged user namespaces must be allowed: see sysctl kernel.unprivileged_userns_clone, user.max_user_namespaces and kernel.apparmor_restrict_unprivileged_userns',
    })
  }
  const pid = holder.pid!
  const nsenter = programs.argv('nsenter')
  const namespaces = kinds.map((kind) => `--${kind}=/proc/${pid}/ns/${kind}`)
  return {
    pid,
    enter: (argv) => [...nsenter, '--preserve-credentials', ...namespaces, '--', ...argv],
    async close() {
      killGroup(pid)
      await gone
    },
  }
}

/** What `cat` echoes tells that it runs, and so that its namespaces are set up. Undefined when they are. */
function firstEcho(holder: ChildProcess): Promise<string | undefined> {
  return new Promise((resolve) => {
    let complaints = ''
    const timer = setTimeout(() => resolve('no answer'), startLimitMs)
    const done = (problem?: string) => {
      clearTimeout(timer)
      resolve(problem)
    }
    holder.once('error', (error) => done(error.message))
    holder.stderr!.on('data', (chunk: Buffer) => {
      complaints += chunk
    })
    holder.stdin!.on('error', () => {})
    holder.once('close', (code) => done(complaints.trim() || `exit code ${code}`))
    holder.stdout!.once('data', () => done())
    holder.stdin!.write('ready\n')
  })
}
