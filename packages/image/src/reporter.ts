/**
 * Where long work tells what it is doing. The command line draws it (one live line on a terminal, plain
 * lines in a log); tests collect it. Everything goes to stderr: stdout belongs to results.
 */
export interface Reporter {
  /** Begins a named piece of work; end it with `done` or `failed`. */
  task(title: string): Task
  info(message: string): void
  warn(message: string): void
}

export interface Task {
  /** `total` undefined while it is not known. `unit` 'bytes' is shown with a rate. */
  progress(done: number, total: number | undefined, unit: 'bytes' | 'items'): void
  done(summary?: string): void
  failed(): void
}

export const silentReporter: Reporter = {
  task: () => ({ progress() {}, done() {}, failed() {} }),
  info() {},
  warn() {},
}
