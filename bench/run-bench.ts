import { UserError } from '@atomixos/image/errors.ts'

/** Runs a benchmark; what a person did wrong is told in one line with its hint, anything else as it is. */
export async function runBench(main: () => Promise<void>): Promise<void> {
  try {
    await main()
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    process.stderr.write(`${error.message}\n`)
    if (error.hint) process.stderr.write(`  ${error.hint}\n`)
    process.exitCode = error.exitCode
  }
}
