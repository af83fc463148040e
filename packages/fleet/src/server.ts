import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { Server } from 'node:net'
import { fleetLimits } from '@atomixos/config'
import { answerRequest, problem } from './answer.ts'
import { FleetServerError } from './errors.ts'
import type { FleetPrograms } from './programs.ts'
import { openServerKeys, type ServerKeys } from './ssh-keys.ts'
import { Store, type StoreOptions } from './store.ts'
import { openCertificate, type ServerCertificate } from './tls.ts'
import { openTunnelDoor, tunnelAccount } from './tunnel-door.ts'

/** A port on every address, or the path of a socket that somebody relays to. */
export type Place = number | string

export interface FleetServerOptions extends StoreOptions {
  readonly programs: FleetPrograms
  /** Everything that the server keeps. */
  readonly dir: string
  /** The name or IPv4 address by which devices reach it. */
  readonly host: string
  readonly https: Place
  readonly tunnels: Place
  /** What devices are told, when that is not where the door listens. */
  readonly tunnelPort?: number
  readonly heartbeatS: number
  /** Undefined: one of its own is made. */
  readonly certificate?: { readonly key: string; readonly certificate: string }
  readonly log: (line: string) => void
}

export interface FleetServer extends AsyncDisposable {
  readonly store: Store
  readonly keys: ServerKeys
  readonly certificate: ServerCertificate
  /** Where it listens; undefined for a socket. */
  readonly httpsPort: number | undefined
  readonly tunnelPort: number | undefined
}

const connectionsMax = 2000

/** Listens when this returns. Throws a FleetServerError. */
export async function startFleetServer(options: FleetServerOptions): Promise<FleetServer> {
  const { programs, dir, host, heartbeatS, log } = options
  await using scope = new AsyncDisposableStack()
  const store = scope.use(new Store(dir, options))
  const keys = await openServerKeys(programs, dir)
  const certificate = options.certificate
    ? { ...options.certificate, authorityPath: undefined }
    : await openCertificate(programs, { dir, host, nowMs: Date.now() })
  const door = scope.use(await openTunnelDoor({ programs, dir, log, wanted: () => store.wanted(Date.now()) }))
  await listen(door.server, options.tunnels)
  const tunnelPort = portOf(door.server)
  const tunnel = {
    ...{ host, port: options.tunnelPort ?? tunnelPort ?? 0, user: tunnelAccount },
    hostKey: keys.hostKey,
  }
  const server = createServer(
    {
      ...{ key: certificate.key, cert: certificate.certificate, minVersion: 'TLSv1.2' },
      ...{ maxHeaderSize: 8 << 10, headersTimeout: 10_000, requestTimeout: 15_000 },
      ...{ keepAliveTimeout: 5000, connectionsCheckingInterval: 5000, handshakeTimeout: 10_000 },
    },
    (request, response) => {
      handle(request, response).catch((error: Error) => {
        log(`a request failed: ${error.message}`)
        respond(response, problem(500, 'the server has a problem of its own'))
      })
    },
  )
  server.maxConnections = connectionsMax
  server.on('tlsClientError', () => {})

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readBody(request)
    if (body === undefined) {
      response.setHeader('connection', 'close')
      return respond(response, problem(413, `more than ${fleetLimits.requestBytesMax} bytes`))
    }
    const facts = { store, heartbeatS, userAuthority: keys.userAuthority, tunnel, nowMs: Date.now() }
    const { method = '', url: path = '', headers } = request
    respond(response, answerRequest(facts, { method, path, authorization: headers.authorization, body }))
  }

  scope.defer(async () => {
    server.closeAllConnections()
    if (server.listening) await new Promise((resolve) => server.close(resolve))
  })
  await listen(server, options.https)
  const open = scope.move()
  return {
    ...{ store, keys, certificate, httpsPort: portOf(server), tunnelPort },
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  }
}

/** undefined: it is too large. */
async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > fleetLimits.requestBytesMax) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function respond(response: ServerResponse, answer: { readonly status: number; readonly body: string }): void {
  if (response.headersSent || response.destroyed) return
  response.writeHead(answer.status, {
    'content-type': 'application/json',
    'cache-control': 'no-store',
    'content-length': Buffer.byteLength(answer.body),
  })
  response.end(answer.body)
}

async function listen(server: Server, place: Place): Promise<void> {
  try {
    const listening = once(server, 'listening')
    server.listen(typeof place === 'number' ? { port: place, host: '0.0.0.0' } : { path: place })
    await listening
  } catch (error) {
    const { code = 'unknown error' } = error as NodeJS.ErrnoException
    throw new FleetServerError(`nothing can listen on ${place} (${code})`, {
      hint:
        code === 'EADDRINUSE'
          ? 'is a server running already? --port takes another one'
          : 'choose another --port',
      cause: error,
    })
  }
}

function portOf(server: Server): number | undefined {
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : undefined
}
