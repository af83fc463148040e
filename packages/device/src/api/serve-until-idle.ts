import type { Server, Socket } from 'node:net'

/** Systemd hands its socket over as this one (sd_listen_fds(3)). */
export const activationSocket = { fd: 3 } as const

/**
 * Serves until nobody has been connected for a while, then stops listening and resolves. The socket itself is systemd's: a
 * connection that comes just then waits there for the next start.
 */
export function serveUntilIdle(
  server: Server,
  socket: { readonly fd: number } | { readonly path: string },
  { idleMs, signal }: { readonly idleMs: number; readonly signal?: AbortSignal | undefined },
): Promise<void> {
  return new Promise((resolve, reject) => {
    let connected = 0
    let timer: NodeJS.Timeout | undefined
    const rest = () => {
      clearTimeout(timer)
      timer = setTimeout(() => server.close(), idleMs)
    }
    server.on('connection', (connection: Socket) => {
      connected += 1
      clearTimeout(timer)
      connection.once('close', () => {
        connected -= 1
        if (connected === 0) rest()
      })
    })
    server.once('error', reject)
    server.once('close', () => {
      clearTimeout(timer)
      resolve()
    })
    signal?.addEventListener('abort', () => server.close(), { once: true })
    server.listen(socket, rest)
  })
}

/** Throws an Error where no socket was handed over. */
export function requireActivation(env: NodeJS.ProcessEnv, name: string): void {
  if (env['LISTEN_FDS'] === '1' && env['LISTEN_PID'] === String(process.pid)) return
  throw new Error(`${name} is started by systemd, when somebody connects: see ${name}.socket`)
}
