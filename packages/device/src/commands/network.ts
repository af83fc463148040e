import { type ActivationLog, activateNetwork } from '../activation/activate-network.ts'
import { UsageError } from '../usage-error.ts'

export const journalLog: ActivationLog = {
  info: (line) => process.stdout.write(`${line}\n`),
  warn: (line) => process.stderr.write(`${line}\n`),
}

/** `network reload`: what the files of the configuration say now takes effect. */
export async function network(args: readonly string[]): Promise<number> {
  if (args.length !== 1 || args[0] !== 'reload') throw new UsageError('say "network reload"')
  return (await activateNetwork({ reload: true, log: journalLog })) === 0 ? 0 : 1
}
