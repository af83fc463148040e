import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import { UserError } from '@atomixos/image/errors.ts'
import { readPassphraseFile } from './signing.ts'

export interface PassphraseSource {
  /** What it opens, for the prompt: `root key`. */
  readonly of: string
  readonly file: string | undefined
  readonly option: string
  readonly variable: string
  /** For a key that is being made: asked twice, and not short. */
  readonly isNew: boolean
}

const newLengthMin = 12

/** From the file, the environment or the person at the terminal, in this order; never from arguments. */
export async function readPassphrase(source: PassphraseSource, signal: AbortSignal): Promise<string> {
  const { of, file, option, variable, isNew } = source
  const given = file === undefined ? process.env[variable] : await readPassphraseFile(file)
  const passphrase = given ?? (await ask(source, signal))
  if (passphrase === '') throw new UserError(`the passphrase of the ${of} is empty`, { exitCode: 2 })
  if (isNew && passphrase.length < newLengthMin) {
    throw new UserError(`the passphrase of the ${of} has fewer than ${newLengthMin} characters`, {
      hint: `make one with \`openssl rand -base64 24\` and give it with ${option} FILE, in ${variable}, or at the prompt`,
      exitCode: 2,
    })
  }
  return passphrase
}

async function ask({ of, option, variable, isNew }: PassphraseSource, signal: AbortSignal): Promise<string> {
  if (!process.stdin.isTTY) {
    throw new UserError(`the passphrase of the ${of} is needed, and there is no terminal to ask at`, {
      hint: `give it with ${option} FILE or in ${variable}`,
      exitCode: 2,
    })
  }
  const first = await prompt(`Passphrase of the ${of}: `, signal)
  if (isNew && first !== (await prompt('The same again: ', signal))) {
    throw new UserError('the two passphrases differ', { hint: 'try again', exitCode: 2 })
  }
  return first
}

/** Nothing of what is typed is shown. */
async function prompt(question: string, signal: AbortSignal): Promise<string> {
  process.stderr.write(question)
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
  const terminal = createInterface({ input: process.stdin, output: nowhere, terminal: true })
  try {
    return await new Promise<string>((resolve, reject) => {
      terminal.once('SIGINT', () => process.kill(process.pid, 'SIGINT'))
      signal.addEventListener('abort', () => reject(signal.reason), { once: true })
      terminal.question('', resolve)
    })
  } finally {
    terminal.close()
    process.stderr.write('\n')
  }
}
