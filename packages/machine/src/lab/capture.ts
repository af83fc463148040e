import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { startChild } from '../child.ts'
import { environmentOf, runChecked } from '../run.ts'
import type { Capture, Programs } from '../types.ts'
import { descendants, labProcess } from './process.ts'

export interface CaptureContext {
  readonly programs: Programs
  readonly enter: (argv: readonly string[]) => readonly string[]
  readonly deadlineMs: number
}

/** For the kernel to hand the last frames over. */
const settleMs = 200

export async function startCapture(
  context: CaptureContext,
  bridge: string,
  file: string,
  filter: string,
): Promise<Capture> {
  const { programs, enter, deadlineMs } = context
  const logPath = `${file}.log`
  const options = ['-i', bridge, '-n', '-U', '--immediate-mode', '-Z', 'root', '-w', file, filter]
  const child = await startChild({
    programs,
    argv: [...programs.argv('tcpdump'), ...options],
    enter,
    logPath,
    deadlineMs,
  })
  await labProcess(`capture on ${bridge}`, child, logPath).waitForOutput(/listening on/)
  const stop = async () => {
    if (child.running) {
      await sleep(settleMs)
      await untilIdle(child.pid)
      child.signal('SIGINT')
      await child.exited
    }
    // Run by root it would become a user of its own to read, whom this machine need not have.
    const text = await runChecked([...programs.argv('tcpdump'), '-n', '-Z', 'root', '-r', file], {
      purpose: `read the capture ${file}`,
      env: environmentOf(programs),
    })
    return text.split('\n').filter(Boolean)
  }
  return {
    file,
    stop,
    [Symbol.asyncDispose]: () => child.kill(),
  }
}

/**
 * Until the program sleeps, for ten seconds at most: frames wake it, so it has taken all there were. On a busy machine
 * it may not have had the processor for longer than the pause above.
 */
async function untilIdle(pid: number): Promise<void> {
  const end = performance.now() + 10_000
  while ([pid, ...descendants(pid)].some(isRunning) && performance.now() < end) await sleep(20)
}

/** proc_pid_stat(5), field 3; field 2, the name, may hold spaces and brackets. */
function isRunning(pid: number): boolean {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return text.slice(text.lastIndexOf(')') + 2).startsWith('R')
  } catch {
    return false
  }
}
