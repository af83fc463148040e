import type { Console, ConsoleMatch } from './types.ts'

/** Escape sequences of terminals: CSI, OSC, character sets, and the two-character kind. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what this is about
const escapes = /\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]+[0-~]|[0-~])|[\r\0]/g
// biome-ignore lint/suspicious/noControlCharactersInRegex: a sequence whose end has not come yet
const unfinishedEscape = /\x1b(?:\[[0-?]*[ -/]*|\][^\x07\x1b]*\x1b?|[ -/]+)?$/
/** Nothing good comes after these: the kernel gave up, or its first process did. */
const deadEnd =
  /(?:Kernel panic - not syncing|Failed to execute fallback shell|Freezing execution)[^\n]*(?=\n)/

/** Collects what the guest prints; QEMU itself writes the raw log file, so nothing is lost with us. */
export class ConsoleBuffer implements Console {
  readonly logPath: string
  readonly #listeners = new Set<(bytes: Buffer) => void>()
  readonly #decoder = new TextDecoder()
  #text = ''
  #rest = ''
  /** Where the current boot began: at power-on or at the last reset. */
  #bootStart = 0
  #panic: string | undefined

  constructor(logPath: string) {
    this.logPath = logPath
  }

  get text(): string {
    return this.#text
  }

  get position(): number {
    return this.#text.length
  }

  get bootStart(): number {
    return this.#bootStart
  }

  /** The dead end of the current boot, in the kernel's or systemd's words. */
  get panic(): string | undefined {
    return this.#panic
  }

  receive(bytes: Buffer): void {
    const arrived = this.#rest + this.#decoder.decode(bytes, { stream: true })
    // A lone escape that never ends must not swallow the console.
    const cut = arrived.length - (unfinishedEscape.exec(arrived.slice(-256))?.[0].length ?? 0)
    this.#text += arrived.slice(0, cut).replace(escapes, '')
    this.#rest = arrived.slice(cut)
    // Overlapping the line before, as a chunk may end anywhere.
    const fresh = Math.max(this.#bootStart, this.#text.length - bytes.byteLength - 200)
    this.#panic ??= deadEnd.exec(this.#text.slice(fresh))?.[0]
    for (const listener of [...this.#listeners]) listener(bytes)
  }

  markBoot(): void {
    this.#bootStart = this.#text.length
    this.#panic = undefined
  }

  find(pattern: RegExp | string, from: number): ConsoleMatch | undefined {
    const expression =
      typeof pattern === 'string'
        ? new RegExp(RegExp.escape(pattern))
        : new RegExp(pattern.source, pattern.flags.replace(/[gy]/g, ''))
    const match = expression.exec(this.#text.slice(from))
    if (match === null) return undefined
    return { text: match[0], groups: match.slice(1), end: from + match.index + match[0].length }
  }

  tail(lines: number): string {
    return this.#text.trimEnd().split('\n').slice(-lines).join('\n')
  }

  subscribe(listener: (bytes: Buffer) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }
}
