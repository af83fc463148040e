import { setTimeout as sleep } from 'node:timers/promises'
import { startChild } from '../child.ts'
import { environmentOf, runChecked } from '../run.ts'
import type { Capture, Programs } from '../types.ts'
import { labProcess } from './process.ts'

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
