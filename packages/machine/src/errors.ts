/**
 * What went wrong with a machine, a lab or a wait: the first line says what, `hint` what to look at. The
 * message is complete in itself (last look, console tail, log paths), as a test report shows nothing else.
 */
export class MachineError extends Error {
  override readonly name: string = 'MachineError'
  readonly hint: string | undefined

  constructor(message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.hint = options.hint
  }
}

/** A wait that did not come true: out of time, or no longer possible. */
export class WaitError extends MachineError {
  override readonly name = 'WaitError'
  readonly reason: 'timeout' | 'impossible' | 'aborted'

  constructor(message: string, reason: 'timeout' | 'impossible' | 'aborted', cause?: unknown) {
    super(message, { cause })
    this.reason = reason
  }
}

/** The guest went away (reset, crash, power-off) while a command was running in it. */
export class GuestGone extends MachineError {
  override readonly name = 'GuestGone'
}

/** A host program that failed: one prefix that says how, then the command, then its output. */
export class ProgramError extends MachineError {
  override readonly name = 'ProgramError'
}

export function seconds(milliseconds: number): string {
  const value = milliseconds / 1000
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} s`
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** Every line moved right, for output quoted in a message. */
export function indent(text: string, by = '    '): string {
  return text
    .replace(/\s+$/, '')
    .split('\n')
    .map((line) => `${by}${line}`)
    .join('\n')
}
