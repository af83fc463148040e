import { rm } from 'node:fs/promises'
import { createInterface } from 'node:readline/promises'
import { dataUnavailableMarkerPath, factoryResetPath } from '@atomixos/config'
import { readOptional } from '../durable-file.ts'
import { cancelReset, orderReset, type ResetDoors, resetWarning } from '../reset/order-reset.ts'
import { runProgram } from '../run-program.ts'
import { UsageError } from '../usage-error.ts'

/** Leaves the mark by which the next start makes a new /data, and restarts. */
export async function factoryReset(args: readonly string[], options: ReadonlySet<string>): Promise<number> {
  const cancel = options.has('--cancel')
  if (args.length > 0 || (cancel && options.size > 1)) {
    throw new UsageError('say "factory-reset", with --yes and --no-restart, or "factory-reset --cancel"')
  }
  try {
    if (cancel) return await cancelReset(doors(options))
    return await orderReset(doors(options), { restart: !options.has('--no-restart') })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EACCES') throw error
    throw new Error('only administrators may: run0 atomixctl factory-reset')
  }
}

function doors(options: ReadonlySet<string>): ResetDoors {
  return {
    markPath: factoryResetPath,
    dataUnavailable: () => readOptional(dataUnavailableMarkerPath),
    ask: options.has('--yes') ? undefined : askForWord,
    remove: (path) => rm(path),
    say: (line) => void process.stdout.write(`${line}\n`),
    restart: async () =>
      (await runProgram(['/usr/bin/systemctl', 'reboot'], { timeoutMs: 30_000 })).exitCode ?? 1,
  }
}

async function askForWord(word: string): Promise<string> {
  process.stderr.write(`${resetWarning}\n`)
  const lines = createInterface({ input: process.stdin, output: process.stderr })
  // Nobody there, or the end of what a pipe says: an answer that is none.
  const ended = new Promise<string>((resolve) => lines.once('close', () => resolve('')))
  try {
    return await Promise.race([lines.question(`Type ${word} to go on: `), ended])
  } finally {
    lines.close()
  }
}
