import { lastLine, runProgram } from '../run-program.ts'
import {
  applyChange,
  type BootChange,
  type BootState,
  parseBootState,
  renderBootChange,
} from './boot-state.ts'

/** U-Boot's environment cannot be read or written. */
export class BootEnvironmentError extends Error {
  override readonly name = 'BootEnvironmentError'
}

const timeoutMs = 20_000

/** Throws BootEnvironmentError. */
export async function readBootState(): Promise<BootState> {
  const result = await runProgram(['/usr/bin/fw_printenv'], { timeoutMs })
  if (result.exitCode !== 0) {
    throw new BootEnvironmentError(`U-Boot's environment cannot be read: ${lastLine(result)}`)
  }
  return parseBootState(result.stdout)
}

/**
 * All of the change or nothing of it; nothing is written when nothing differs. Reads it back: flash that takes a write
 * and loses it is found here, and not at the next start. Throws BootEnvironmentError.
 */
export async function changeBootState(before: BootState, change: BootChange): Promise<void> {
  const script = renderBootChange(before, change)
  if (script === '') return
  const result = await runProgram(['/usr/bin/fw_setenv', '--script', '-'], { timeoutMs, stdin: script })
  if (result.exitCode !== 0) {
    throw new BootEnvironmentError(`U-Boot's environment cannot be written: ${lastLine(result)}`)
  }
  const missing = renderBootChange(await readBootState(), applyChange(before, change))
  if (missing !== '') {
    throw new BootEnvironmentError(`U-Boot's environment did not keep what was written: ${missing.trim()}`)
  }
}
