import { createInterface } from 'node:readline'
import { type REPLServer, Recoverable, start } from 'node:repl'
import { PassThrough } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { inspect } from 'node:util'

/**
 * A prompt for TypeScript's little brother with these words in it. What takes time is waited for, so that nobody has to
 * write `await`; lines that come meanwhile (from a file, say) wait for their turn. Ctrl-C stops waiting, not what was begun.
 * Resolves when it was left; lines that did not come from a terminal have been done then.
 */
export async function runPrompt(options: {
  readonly words: Readonly<Record<string, unknown>>
  readonly prompt: string
  readonly signal: AbortSignal
  readonly input?: NodeJS.ReadStream
  readonly output?: NodeJS.WriteStream
}): Promise<void> {
  const { input = process.stdin, output = process.stdout } = options
  const terminal = input.isTTY === true && output.isTTY === true
  // A file gives its lines all at once. They go on one by one, since one may be the second half of the one before it.
  const lines = terminal ? undefined : new PassThrough()
  const server = start({
    ...{ prompt: options.prompt, input: lines ?? input, output, terminal },
    ...{ ignoreUndefined: true, preview: false },
    // A string is what a command said: it is shown as it was said.
    writer: (value) => (typeof value === 'string' ? value : inspect(value, { colors: terminal, depth: 4 })),
  })
  Object.assign(server.context, options.words)
  const done = queueEvaluation(server)
  const left = new Promise<void>((resolve) => {
    server.once('exit', resolve)
    // The terminal went away: setting it back to what it was fails.
    server.on('error', () => resolve())
  })
  const close = () => server.close()
  options.signal.addEventListener('abort', close, { once: true })
  if (options.signal.aborted) close()
  if (lines !== undefined) void feed(input, lines, done)
  await left
  options.signal.removeEventListener('abort', close)
}

/** Each line when the one before it has been done. */
async function feed(input: NodeJS.ReadStream, lines: PassThrough, done: () => Promise<void>): Promise<void> {
  for await (const line of createInterface({ input })) {
    lines.write(`${line}\n`)
    // Until the prompt has read it.
    await setImmediate()
    await done()
  }
  lines.end()
}

/** Gives the function that waits until the queue is empty. */
function queueEvaluation(server: REPLServer): () => Promise<void> {
  const evaluate = server.eval
  let queue: Promise<void> = Promise.resolve()
  let stopWaiting: (() => void) | undefined
  // Where nothing is waited for, Ctrl-C is the prompt's own: it empties the line.
  const ownInterrupts = server.listeners('SIGINT') as (() => void)[]
  server.removeAllListeners('SIGINT')
  server.on('SIGINT', () => {
    if (stopWaiting) stopWaiting()
    else for (const interrupt of ownInterrupts) interrupt.call(server)
  })

  async function evaluateOne(
    code: string,
    context: Parameters<typeof evaluate>[1],
    file: string,
    finish: Parameters<typeof evaluate>[3],
  ): Promise<void> {
    const interrupted = new Promise<undefined>((resolve) => {
      stopWaiting = () => resolve(undefined)
    })
    try {
      const value = await Promise.race([
        new Promise((resolve, reject) => {
          evaluate.call(server, code, context, file, (error, result) => {
            if (error) reject(error)
            // A promise resolves to its value here.
            else resolve(result)
          })
        }),
        interrupted,
      ])
      finish(null, value)
    } catch (error) {
      if (error instanceof Recoverable || !(error instanceof Error)) return finish(error as Error, undefined)
      // The stack is about this program; the message tells of the machine.
      server.output.write(`${error.message}\n`)
      finish(null, undefined)
    } finally {
      stopWaiting = undefined
    }
  }

  // `eval` is read anew for each line; its type says that it never changes.
  Object.assign(server, {
    eval: (...args: Parameters<typeof evaluateOne>) => {
      queue = queue.then(() => evaluateOne(...args))
    },
  })
  return async () => {
    for (let seen: Promise<void> | undefined; seen !== queue; ) {
      seen = queue
      await seen
    }
  }
}

/** Runs something that wants the terminal for itself, with the prompt out of the way. */
export async function withoutPrompt(input: NodeJS.ReadStream, run: () => Promise<void>): Promise<void> {
  const listeners = input.listeners('keypress') as ((...args: unknown[]) => void)[]
  for (const listener of listeners) input.off('keypress', listener)
  try {
    await run()
  } finally {
    for (const listener of listeners) input.on('keypress', listener)
    if (input.isTTY) input.setRawMode(true)
    input.resume()
  }
}
