/**
 * Path patterns: `*` is any run of characters within one path component, `**` any run of characters, `{a,b}` one
 * of the words. A pattern that ends in `/**` also matches the folder itself. Anchored at both ends.
 */
export function compilePattern(pattern: string): RegExp {
  const folder = pattern.endsWith('/**')
  const body = folder ? pattern.slice(0, -3) : pattern
  let source = ''
  let inWords = false
  for (let index = 0; index < body.length; index++) {
    const character = body[index]!
    if (character === '*') {
      const any = body[index + 1] === '*'
      if (any) index++
      source += any ? '.*' : '[^/]*'
    } else if (character === '{') {
      inWords = true
      source += '(?:'
    } else if (character === '}') {
      inWords = false
      source += ')'
    } else if (character === ',' && inWords) source += '|'
    else source += character.replace(/[\\^$.*+?()[\]{}|/]/, '\\$&')
  }
  return new RegExp(`^${source}${folder ? '(?:/.*)?' : ''}$`)
}

/** The first of the patterns that matches, or undefined. */
export function patternMatcher(patterns: Iterable<string>): (path: string) => string | undefined {
  const compiled = [...patterns].map((pattern) => ({ pattern, regexp: compilePattern(pattern) }))
  return (path) => compiled.find(({ regexp }) => regexp.test(path))?.pattern
}
