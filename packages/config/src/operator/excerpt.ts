/** Of a line, at most; with the place that is meant in it. */
const lineWidth = 100

export interface Excerpt {
  readonly text: string
  /** Characters before the place. */
  readonly before: number
}

/** What is to be seen of a line around a place in it; column from 1. Pure. */
export function excerptOf(sourceLine: string, column: number): Excerpt {
  const start = column > lineWidth - 20 ? column - 1 - lineWidth / 2 : 0
  const text = sourceLine
    .slice(start, start + lineWidth)
    // A file from elsewhere must not speak to the terminal, or reorder what stands around it.
    .replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, ' ')
    .trimEnd()
  return { text, before: column - 1 - start }
}
