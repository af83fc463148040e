import { join } from 'node:path'
import { type Workspace, workspaceAt } from '@atomixos/image/workspace.ts'
import { watchOutput } from './output-failure.ts'
import { TerminalReporter } from './terminal-reporter.ts'

/** What every command is given: where it works, where it talks, and when to stop. */
export interface CommandContext {
  readonly workspace: Workspace
  readonly reporter: TerminalReporter
  /** Aborted by the first Ctrl-C, and when output cannot be written any more. */
  readonly signal: AbortSignal
}

/** The first Ctrl-C asks everything to stop and tidy up, the second leaves at once. */
export function createContext(): CommandContext {
  const controller = new AbortController()
  const reporter = new TerminalReporter()
  const interrupt = () => {
    if (controller.signal.aborted) process.exit(130)
    controller.abort(new Interrupted())
    reporter.info('stopping; press Ctrl-C again to leave at once')
  }
  process.on('SIGINT', interrupt)
  process.on('SIGTERM', interrupt)
  // The terminal went away. Output to it may have failed just before: that is not a person who is in a hurry.
  process.on('SIGHUP', () => {
    if (!controller.signal.aborted) interrupt()
  })
  watchOutput((failure) => controller.abort(failure))
  const rootDir = join(import.meta.dirname, '../../..')
  const cacheDir = process.env.ATOMIXOS_CACHE_DIR
  return {
    workspace: workspaceAt(rootDir, cacheDir ? { cacheDir } : {}),
    reporter,
    signal: controller.signal,
  }
}

export class Interrupted extends Error {
  override readonly name = 'Interrupted'
  constructor() {
    super('interrupted')
  }
}
