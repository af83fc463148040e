import { lastLine, runProgram } from '../run-program.ts'
import { UsageError } from '../usage-error.ts'

/** Sets the option in U-Boot's environment: the selector hands it to the kernel, the initrd arms the watchdog. */
export async function watchdog(args: readonly string[]): Promise<number> {
  const [wanted, ...rest] = args
  if (rest.length > 0 || (wanted !== 'on' && wanted !== 'off')) {
    throw new UsageError('say "watchdog on" or "watchdog off"')
  }
  const value = wanted === 'on' ? ['1'] : []
  const result = await runProgram(['/usr/bin/fw_setenv', 'WATCHDOG', ...value], { timeoutMs: 20_000 })
  if (result.exitCode !== 0) throw new Error(`U-Boot's environment cannot be written: ${lastLine(result)}`)
  process.stdout.write(`the hardware watchdog is ${wanted} from the next start on\n`)
  return 0
}
