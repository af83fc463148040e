/** What an operator of the server can do something about. */
export class FleetServerError extends Error {
  override readonly name = 'FleetServerError'
  readonly hint: string | undefined
  constructor(message: string, options: { readonly hint?: string; readonly cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.hint = options.hint
  }
}
