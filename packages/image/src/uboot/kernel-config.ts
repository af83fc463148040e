/** Kconfig text: `CONFIG_NAME=value` and `# CONFIG_NAME is not set` lines. */

const linePattern = /^(?:# )?(CONFIG_\w+)(?:=(.*)| is not set)$/

/** Values by name, undefined for what is switched off. Later lines win; all others are comments. */
export function parseConfig(text: string): Map<string, string | undefined> {
  const values = new Map<string, string | undefined>()
  for (const line of text.split('\n')) {
    const match = linePattern.exec(line.trim())
    if (match) values.set(match[1]!, match[2])
  }
  return values
}

/** One text in which each name stands once, as the last fragment that has it wants it. */
export function mergeConfig(defconfig: string, fragments: readonly string[]): string {
  const merged = parseConfig([defconfig, ...fragments].join('\n'))
  return [...merged].map(([name, value]) => `${configLine(name, value)}\n`).join('')
}

/**
 * The lines of the fragments that do not hold in a finished configuration. Kconfig drops silently what depends
 * on something that is off, and switches on what something else selects.
 */
export function unmetLines(config: string, fragments: readonly string[]): string[] {
  const finished = parseConfig(config)
  const wanted = parseConfig(fragments.join('\n'))
  return [...wanted]
    .filter(([name, value]) => finished.get(name) !== value)
    .map(([name, value]) => configLine(name, value))
}

export function configLine(name: string, value: string | undefined): string {
  return value === undefined ? `# ${name} is not set` : `${name}=${value}`
}
