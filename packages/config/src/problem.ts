/** Bad input is data: all that is wrong is told at once. */
export interface Problem {
  /** Where: `lan-settings.json: dhcp_start`. */
  readonly path: string
  readonly message: string
  /** What to do about it. */
  readonly hint?: string
}

/** Of one file: what holds, and what was wrong. With any problem the settings are the safe ones, whole. */
export interface Parsed<T> {
  readonly settings: T
  readonly problems: readonly Problem[]
}

export function renderProblem({ path, message, hint }: Problem): string {
  return `${path}: ${message}${hint === undefined ? '' : `\n  ${hint}`}`
}
