import { type ConfigProblem, excerptOf } from '@atomixos/config/operator/index.ts'

/** Problems with the lines they are about, a caret below the place, and what to do. Ends in a newline. */
export function showProblems(
  file: string,
  text: string,
  problems: readonly ConfigProblem[],
  kind = '',
): string {
  const lines = text.split('\n')
  return problems.map((problem) => showProblem(file, lines, problem, kind)).join('\n')
}

function showProblem(file: string, lines: readonly string[], problem: ConfigProblem, kind: string): string {
  const { path, message, hint, line, column } = problem
  const place = line === undefined || column === undefined ? file : `${file}:${line}:${column}`
  const parts = [place, kind, path, message].filter((part) => part !== '')
  const shown = [parts.join(': ')]
  if (line !== undefined && column !== undefined) shown.push(...excerpt(lines[line - 1] ?? '', line, column))
  if (hint !== undefined) shown.push(`  ${hint}`)
  return `${shown.join('\n')}\n`
}

function excerpt(sourceLine: string, line: number, column: number): string[] {
  const { text, before } = excerptOf(sourceLine, column)
  const margin = `${line} | `
  return [`  ${margin}${text}`, `  ${' '.repeat(margin.length - 2)}| ${' '.repeat(before)}^`]
}
