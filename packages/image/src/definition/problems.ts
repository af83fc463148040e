/** Something wrong with a definition or with the tree made from it. Data, so that all are told at once. */
export interface Problem {
  /** What it is about: a path, a unit, an account, a setting. */
  readonly where: string
  readonly message: string
  /** What to do about it, in the imperative. */
  readonly hint?: string
}

/** Ordered by what they are about, then by text, so that output does not depend on the order of the checks. */
export function sortProblems(problems: readonly Problem[]): Problem[] {
  const key = (problem: Problem) => `${problem.where}\0${problem.message}`
  return [...problems].sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0))
}

/** `where: message`, and the hint indented below. */
export function renderProblems(problems: readonly Problem[]): string {
  return sortProblems(problems)
    .map(({ where, message, hint }) => `${where}: ${message}${hint === undefined ? '' : `\n  ${hint}`}`)
    .join('\n')
}
