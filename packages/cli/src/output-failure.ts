/** Of a program that SIGPIPE ends, as a shell tells it: 128 and the signal's number. Node ignores the signal itself. */
const closedExitCode = 141

/** Standard output or standard error takes no more. */
export class OutputFailed extends Error {
  override readonly name = 'OutputFailed'
  readonly exitCode: number

  constructor(stream: string, cause: NodeJS.ErrnoException) {
    super(`${stream} cannot be written: ${cause.message}`, { cause })
    this.exitCode = cause.code === 'EPIPE' ? closedExitCode : 1
  }
}

/**
 * Calls `stop` once, when output fails. A reader that has seen enough (`| head`) ends the command without a word;
 * any other reason, a full disk for one, is said. The exit code is set even when the command was done by then.
 */
export function watchOutput(stop: (failure: OutputFailed) => void): void {
  let failure: OutputFailed | undefined
  const streams = { 'standard output': process.stdout, 'standard error': process.stderr }
  for (const [name, stream] of Object.entries(streams)) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      // Every later write fails as well, and what cannot be said on standard error is not said at all.
      if (failure !== undefined) return
      failure = new OutputFailed(name, error)
      if (failure.exitCode !== closedExitCode) process.stderr.write(`atomixos: ${failure.message}\n`)
      stop(failure)
    })
  }
  process.on('exit', () => {
    if (failure !== undefined) process.exitCode = failure.exitCode
  })
}
