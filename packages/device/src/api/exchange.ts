import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Answered, AskWorker } from './ask-worker.ts'
import type { Refusal } from './check-request.ts'
import type { FormTokens } from './form-token.ts'
import type { DeviceState } from './questions.ts'
import type { ReadBody } from './read-body.ts'
import { securityHeaders } from './ui/security-headers.ts'

/** What a request is answered with: everything it needs is at hand. */
export interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly state: DeviceState
  readonly ask: AskWorker
  readonly readBody: ReadBody
  readonly tokens: FormTokens
}

/** Hands on what the worker says. */
export function pass(response: ServerResponse, { header, body }: Answered): void {
  const { status, type, location, allow, retryAfterS } = header
  response.writeHead(status, {
    ...securityHeaders(),
    'Content-Type': type === 'application/toml' ? 'application/toml; charset=utf-8' : type,
    'Content-Length': body.length,
    ...(location !== undefined && { Location: location }),
    ...(allow !== undefined && { Allow: allow }),
    ...(retryAfterS !== undefined && { 'Retry-After': String(retryAfterS) }),
    ...(type === 'application/toml' && { 'Content-Disposition': 'attachment; filename="config.toml"' }),
    ...closing(response),
  })
  response.end(body)
}

export function send(response: ServerResponse, { status, document, allow, retryAfterS }: Refusal): void {
  if (response.headersSent) {
    response.destroy()
    return
  }
  const body = Buffer.from(`${JSON.stringify(document)}\n`)
  pass(response, { header: { status, type: 'application/json', allow, retryAfterS }, body })
}

/** A body that nobody has read would be taken for the next request: the connection ends with the answer. */
export function closing(response: ServerResponse): { readonly Connection?: string } {
  return response.req.complete ? {} : { Connection: 'close' }
}
