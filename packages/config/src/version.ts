/** Semantic Versioning 2.0.0, as far as builder, publisher and device order releases by it. Pure. */

interface Version {
  readonly core: readonly string[]
  readonly prerelease: readonly string[]
}

const number = '(?:0|[1-9]\\d{0,14})'
const identifier = '(?:0|[1-9]\\d*|\\d*[A-Za-z-][0-9A-Za-z-]*)'
const pattern = new RegExp(
  `^(${number})\\.(${number})\\.(${number})(?:-(${identifier}(?:\\.${identifier})*))?(?:\\+[0-9A-Za-z-]+(?:\\.[0-9A-Za-z-]+)*)?$`,
)

const charactersMax = 128

/** As it is written: without the "v" and the spaces that tools let pass. */
export function isVersionText(text: string): boolean {
  return parse(text) !== undefined
}

/** Below zero: `a` is older. What is after `+` does not count. Both must be versions. */
export function compareVersionTexts(a: string, b: string): number {
  const [first, second] = [parse(a), parse(b)]
  if (first === undefined || second === undefined) throw new TypeError(`"${a}" or "${b}" is no version`)
  for (const [index, digits] of first.core.entries()) {
    const order = compareNumbers(digits, second.core[index]!)
    if (order !== 0) return order
  }
  return comparePrereleases(first.prerelease, second.prerelease)
}

function parse(text: string): Version | undefined {
  const match = text.length > charactersMax ? null : pattern.exec(text)
  if (match === null) return undefined
  return { core: match.slice(1, 4) as string[], prerelease: match[4]?.split('.') ?? [] }
}

function comparePrereleases(a: readonly string[], b: readonly string[]): number {
  // A release comes after everything that led to it.
  if (a.length === 0 || b.length === 0) return b.length - a.length
  for (const [index, word] of a.entries()) {
    const other = b[index]
    if (other === undefined) return 1
    const order = compareIdentifiers(word, other)
    if (order !== 0) return order
  }
  return a.length - b.length
}

function compareIdentifiers(a: string, b: string): number {
  const [aIsNumber, bIsNumber] = [/^\d+$/.test(a), /^\d+$/.test(b)]
  if (aIsNumber && bIsNumber) return compareNumbers(a, b)
  if (aIsNumber !== bIsNumber) return aIsNumber ? -1 : 1
  return a < b ? -1 : a > b ? 1 : 0
}

/** Without leading zeros: more digits are more. */
function compareNumbers(a: string, b: string): number {
  if (a.length !== b.length) return a.length - b.length
  return a < b ? -1 : a > b ? 1 : 0
}
