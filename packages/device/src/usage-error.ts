export const usageErrorName = 'UsageError'

/** Wrong arguments on the command line. */
export class UsageError extends Error {
  override readonly name = usageErrorName
}
