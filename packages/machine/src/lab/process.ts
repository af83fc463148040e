import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Child } from '../child.ts'
import { indent } from '../errors.ts'
import { tailOfFile } from '../tail.ts'
import type { LabProcess } from '../types.ts'
import { waitFor } from '../wait.ts'

const termGraceMs = 5_000

/** A running server on a lab host, started inside a sandbox that is its parent. */
export function labProcess(what: string, child: Child, logPath: string): LabProcess {
  let end: string | undefined
  void child.exited.then((how) => {
    end = how
  })
  const stop = async () => {
    for (const pid of descendants(child.pid)) signal(pid, 'SIGTERM')
    await Promise.race([child.exited, sleep(termGraceMs, undefined, { ref: false })])
    await child.kill()
  }
  return {
    logPath,
    get running() {
      return child.running
    },
    stop,
    [Symbol.asyncDispose]: stop,
    waitForOutput: (pattern, options = {}) =>
      waitFor(
        {
          subject: what,
          what: `output ${pattern}`,
          timeoutMs: options.timeoutMs ?? 60_000,
          signal: options.signal,
          onImpossible: (tell) => {
            let listening = true
            // A moment, as the last words may be what is waited for.
            void child.exited
              .then(() => sleep(100))
              .then(() => listening && tell(`the program ended: ${end}`))
            return () => {
              listening = false
            }
          },
          report: () => `  log: ${logPath}\n${indent(tailOfFile(logPath, 15))}`,
        },
        async ({ signal: over }) => {
          for (;;) {
            const match = pattern.exec(await readFile(logPath, 'utf8'))
            if (match) return match[0]
            await sleep(50, undefined, { signal: over })
          }
        },
      ),
  }
}

/** All processes below `pid`, as the kernel lists them; not `pid` itself. */
export function descendants(pid: number): number[] {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')
    return children.filter(Boolean).flatMap((child) => [Number(child), ...descendants(Number(child))])
  } catch {
    return []
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch {
    // Ended by itself.
  }
}
