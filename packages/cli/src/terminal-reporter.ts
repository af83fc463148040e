import type { Reporter, Task } from '@atomixos/image/reporter.ts'

interface LiveTask {
  readonly title: string
  readonly startedAtMs: number
  done: number
  total: number | undefined
  unit: 'bytes' | 'items'
}

const redrawMs = 100
/** A log gets a sign of life at most this often for one task. */
const logIntervalMs = 10_000

/**
 * Progress on stderr: one live line on a terminal, plain lines elsewhere. A task's name is printed with its
 * time when it ends; what was cached says nothing.
 */
export class TerminalReporter implements Reporter {
  readonly #stream: NodeJS.WriteStream
  readonly #live: boolean
  readonly #colour: boolean
  readonly #tasks = new Set<LiveTask>()
  #timer: NodeJS.Timeout | undefined
  #drawn = false

  constructor(stream: NodeJS.WriteStream = process.stderr, env: NodeJS.ProcessEnv = process.env) {
    this.#stream = stream
    this.#live = stream.isTTY === true && env.TERM !== 'dumb'
    this.#colour = wantsColour(stream, env)
  }

  task(title: string): Task {
    const task: LiveTask = { title, startedAtMs: Date.now(), done: 0, total: undefined, unit: 'items' }
    this.#tasks.add(task)
    let loggedAtMs = Date.now()
    this.#startDrawing()
    const end = (mark: string, colour: number, summary?: string) => {
      if (!this.#tasks.delete(task)) return
      const seconds = ((Date.now() - task.startedAtMs) / 1000).toFixed(1)
      this.#line(
        `${this.#paint(mark, colour)} ${title}${summary ? `: ${summary}` : ''} ${this.#paint(`(${seconds} s)`, 2)}`,
      )
      if (this.#tasks.size === 0) this.#stopDrawing()
    }
    return {
      progress: (done, total, unit) => {
        Object.assign(task, { done, total, unit })
        if (!this.#live && Date.now() - loggedAtMs >= logIntervalMs) {
          loggedAtMs = Date.now()
          this.#line(`  ${describe(task)}`)
        }
      },
      done: (summary) => end('✓', 32, summary),
      failed: () => end('✗', 31),
    }
  }

  info(message: string): void {
    this.#line(message)
  }

  warn(message: string): void {
    this.#line(`${this.#paint('warning:', 33)} ${message}`)
  }

  /** Erases the live line; whatever is printed next starts on a clean one. */
  close(): void {
    this.#tasks.clear()
    this.#stopDrawing()
  }

  #line(text: string): void {
    this.#erase()
    this.#stream.write(`${text}\n`)
  }

  #startDrawing(): void {
    if (!this.#live || this.#timer) return
    this.#timer = setInterval(() => this.#draw(), redrawMs)
    this.#timer.unref()
  }

  #stopDrawing(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#erase()
  }

  #draw(): void {
    const width = this.#stream.columns ?? 80
    const text = [...this.#tasks].map(describe).join(' · ')
    this.#erase()
    this.#stream.write(text.length < width ? text : `${text.slice(0, width - 2)}…`)
    this.#drawn = true
  }

  #erase(): void {
    if (!this.#drawn) return
    this.#stream.write('\r\x1b[2K')
    this.#drawn = false
  }

  #paint(text: string, code: number): string {
    return this.#colour ? `\x1b[${code}m${text}\x1b[0m` : text
  }
}

/** Only a terminal that can show it, and only where nobody has said otherwise (no-color.org). */
export function wantsColour(stream: NodeJS.WriteStream, env: NodeJS.ProcessEnv): boolean {
  return stream.isTTY === true && env.TERM !== 'dumb' && !env.NO_COLOR
}

function describe(task: LiveTask): string {
  const seconds = (Date.now() - task.startedAtMs) / 1000
  if (task.unit === 'bytes' && task.done > 0) {
    const total = task.total === undefined ? '' : ` of ${megabytes(task.total)}`
    return `${task.title} ${megabytes(task.done)}${total} MB, ${(task.done / 1e6 / Math.max(seconds, 0.1)).toFixed(1)} MB/s`
  }
  const count = task.total === undefined ? '' : ` ${task.done}/${task.total}`
  return `${task.title}${count} ${seconds.toFixed(0)} s`
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(bytes < 10e6 ? 1 : 0)
}
