/** The environment as U-Boot compiles it in: `name=value` strings, each ended by NUL, one more NUL at the end. */
export function parseEnvironmentBlock(block: Uint8Array): Map<string, string> {
  const variables = new Map<string, string>()
  for (const entry of Buffer.from(block).toString('latin1').split('\0')) {
    if (entry === '') break
    const equals = entry.indexOf('=')
    if (equals < 1) throw new Error(`"${entry}" is not a variable of an environment`)
    variables.set(entry.slice(0, equals), entry.slice(equals + 1))
  }
  return variables
}

/** One `name=value` a line, sorted by name: for people and comparisons. */
export function renderEnvironment(variables: ReadonlyMap<string, string>): string {
  return [...variables]
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')
}
