import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from 'node:http'
import type { Socket } from 'node:net'
import { apiHeaders, findRoute, uploadBytesMax } from '@atomixos/config/api/index.ts'
import { type AskWorker, askState } from './ask-worker.ts'
import { checkRequest, isRefusal, type Refusal, refusal } from './check-request.ts'
import { type Exchange, pass, send } from './exchange.ts'
import { createFormTokens } from './form-token.ts'
import { isForeign, isOurHost, plainAddress } from './hosts.ts'
import { createBodyReader } from './read-body.ts'
import { answerPages } from './ui/answer-pages.ts'
import { securityHeaders } from './ui/security-headers.ts'

export interface FrontOptions {
  readonly ask: AskWorker
  /** 32 bytes: forms that were loaded with the same key are accepted. */
  readonly formKey: Buffer
  readonly limits?: Partial<FrontLimits>
}

export interface FrontLimits {
  readonly headersTimeoutMs: number
  /** For a whole request: 32 MiB over a slow line. */
  readonly requestTimeoutMs: number
  readonly keepAliveTimeoutMs: number
  readonly checkIntervalMs: number
  readonly connectionsMax: number
}

const frontLimits: FrontLimits = {
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 180_000,
  keepAliveTimeoutMs: 5_000,
  checkIntervalMs: 2_000,
  connectionsMax: 128,
}

/** Of one connection; then it starts anew, and with it what it holds. */
const requestsPerConnectionMax = 200
/** A form carries the upload and a few words. */
const formExtraBytes = 64 * 1024

/**
 * The half of the API that faces the network: reads HTTP, decides nothing that matters. Who may change what is the
 * worker's to say.
 */
export function createFront({ ask, formKey, limits: given }: FrontOptions): Server {
  const limits = { ...frontLimits, ...given }
  const readBody = createBodyReader({
    totalMax: 2 * uploadBytesMax,
    perAddressMax: uploadBytesMax + formExtraBytes + 1024,
  })
  const tokens = createFormTokens(formKey)
  const serverOptions: ServerOptions = {
    maxHeaderSize: 16 * 1024,
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    connectionsCheckingInterval: limits.checkIntervalMs,
    insecureHTTPParser: false,
  }
  const handle = (request: IncomingMessage, response: ServerResponse) => {
    request.on('error', () => {})
    response.on('error', () => {})
    answer(request, response).catch((error: Error) => {
      // Whoever has sent half a request gets the server's own answer, if he is still there.
      if (request.errored !== null) return
      process.stderr.write(`<3>${error.message}\n`)
      send(response, refusal(503, 'the device cannot answer this now', 'try again'))
    })
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const state = await askState(ask)
    const exchange: Exchange = { request, response, state, ask, readBody, tokens }
    const wrong = wrongPlace(exchange)
    if (wrong !== undefined) send(response, wrong)
    else if (/^\/api(?:[/?]|$)/.test(request.url ?? '')) await answerApi(exchange)
    else await answerPages(exchange)
  }

  const server = createServer(serverOptions, handle)
  server.maxConnections = limits.connectionsMax
  server.maxRequestsPerSocket = requestsPerConnectionMax
  // Looked at before the sender is told to go on.
  server.on('checkContinue', handle)
  server.on('clientError', answerBroken)
  return server
}

/** A second line behind the firewall, and a wall against names of others. */
function wrongPlace({ request, state }: Exchange): Refusal | undefined {
  const localAddress = plainAddress(request.socket.localAddress)
  if (state.provisioned && localAddress !== state.lanAddress) {
    return refusal(403, 'the API is on the LAN only', `ask http://${state.lanAddress}:8080 from there`)
  }
  if (isOurHost(request.headers.host, { localAddress, names: state.names })) return undefined
  return refusal(421, 'this device is not called that', `ask it by its address: http://${localAddress}:8080`)
}

async function answerApi({ request, response, ask, readBody }: Exchange): Promise<void> {
  const { method = '', url = '', headers } = request
  if (method === 'OPTIONS') {
    const { allowed } = findAllowed(url)
    if (allowed.length > 0) {
      response.writeHead(204, { ...securityHeaders(), Allow: [...allowed, 'OPTIONS'].join(', ') }).end()
      return
    }
  }
  const mediaType = headers['content-type']
  const length = headers['content-length']
  const checked = checkRequest({
    ...{ method, target: url, mediaType },
    bodyBytes: length === undefined ? undefined : Number(length),
  })
  if (isRefusal(checked)) return send(response, checked)
  if (method !== 'GET' && method !== 'HEAD' && isForeign(headers)) {
    return send(response, refusal(403, 'a page of another origin has sent this'))
  }
  const body = await readBody(request, response, checked.bodyBytesMax)
  if (isRefusal(body)) return send(response, body)
  const answered = await ask(
    {
      ...{ ask: 'api', method, target: url },
      mediaType: mediaType?.slice(0, 256),
      nonce: single(headers, apiHeaders.nonce, 256),
      signature: single(headers, apiHeaders.signature, 16_384),
      claim: single(headers, apiHeaders.claim, 256),
    },
    body,
  )
  pass(response, answered)
}

/** Every method of a path. */
function findAllowed(url: string): { readonly allowed: readonly string[] } {
  const found = findRoute('', url.split('?')[0]!)
  return 'allowed' in found ? found : { allowed: [] }
}

function single(headers: IncomingMessage['headers'], name: string, lengthMax: number): string | undefined {
  const value = headers[name.toLowerCase()]
  return typeof value === 'string' && value.length <= lengthMax ? value : undefined
}

const brokenAnswers: Readonly<Record<string, readonly [number, string, string]>> = {
  HPE_HEADER_OVERFLOW: [431, 'Request Header Fields Too Large', 'the headers are too large'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'Request Timeout', 'the request took too long'],
}

/** What is no HTTP, too large or too slow for it. */
function answerBroken(error: Error & { code?: string }, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy()
    return
  }
  const [status, reason, message] = brokenAnswers[error.code ?? ''] ?? [
    400,
    'Bad Request',
    'the request is not understood',
  ]
  const body = `${JSON.stringify({ error: message })}\n`
  socket.end(
    `HTTP/1.1 ${status} ${reason}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  )
  // Whoever goes on sending does not keep the connection.
  setTimeout(() => socket.destroy(), 1_000).unref()
}
