/**
 * A failure whose cause is outside our code: bad input, a missing file, a mirror that answers nonsense, a
 * full disk. The command line prints `message`, then `hint`, and no stack. Anything else is a bug of ours.
 */
export class UserError extends Error {
  override readonly name = 'UserError'
  /** What to do next, in the imperative; undefined when there is nothing to be done. */
  readonly hint: string | undefined
  /** 1: it failed. 2: the input is wrong. */
  readonly exitCode: 1 | 2

  constructor(message: string, options: { hint?: string; exitCode?: 1 | 2; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.hint = options.hint
    this.exitCode = options.exitCode ?? 1
  }
}
