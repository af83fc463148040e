import { createInterface } from 'node:readline'
import { UserError } from '@atomixos/image/errors.ts'

export interface Confirmation {
  /** Shown before the cursor: `Type yes to overwrite /dev/sdb: ` */
  readonly question: string
  /** The only answer that goes on. */
  readonly answer: string
  /** How to do without a person: an option. */
  readonly option: string
}

/** Asks the person at the terminal. Throws UserError for any other answer, and where nobody can be asked. */
export async function confirm(
  { question, answer, option }: Confirmation,
  signal: AbortSignal,
): Promise<void> {
  if (!process.stdin.isTTY) {
    throw new UserError('this must be confirmed, and there is no terminal to ask at. Nothing was changed.', {
      hint: `run it at a terminal, or with ${option}`,
      exitCode: 2,
    })
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    const given = await new Promise<string>((resolve, reject) => {
      // The terminal's own Ctrl-C goes the way of all others; Ctrl-D is no answer.
      terminal.once('SIGINT', () => process.kill(process.pid, 'SIGINT'))
      terminal.once('close', () => resolve(''))
      signal.addEventListener('abort', () => reject(signal.reason), { once: true })
      terminal.question(question, resolve)
    })
    if (given.trim() === answer) return
    throw new UserError('not confirmed. Nothing was changed.')
  } finally {
    terminal.close()
  }
}
