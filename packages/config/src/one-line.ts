/**
 * Text of others, fit for one line of a message, a log or a terminal: what could move a cursor, hide or reorder text
 * becomes a space, and what is too long is cut.
 */
export function oneLine(text: string, charactersMax = 200): string {
  // Cut twice: patterns shall not work through megabytes.
  const plain = text
    .slice(0, charactersMax * 4)
    .replaceAll(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\s]+/gu, ' ')
    .trim()
  return plain.length > charactersMax ? `${plain.slice(0, charactersMax - 1)}…` : plain
}
