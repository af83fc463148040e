import type { IncomingMessage, ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'
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

const fileNames: Partial<Readonly<Record<Answered['header']['type'], string>>> = {
  'application/toml': 'config.toml',
  'application/gzip': 'report.tar.gz',
}

/** Hands on what the worker says. */
export function pass(response: ServerResponse, { header, body, rest }: Answered): void {
  const { status, type, location, allow, retryAfterS } = header
  const fileName = fileNames[type]
  response.writeHead(status, {
    ...securityHeaders(),
    'Content-Type': type === 'application/toml' ? 'application/toml; charset=utf-8' : type,
    ...(rest === undefined && { 'Content-Length': body.length }),
    ...(location !== undefined && { Location: location }),
    ...(allow !== undefined && { Allow: allow }),
    ...(retryAfterS !== undefined && { 'Retry-After': String(retryAfterS) }),
    ...(fileName !== undefined && { 'Content-Disposition': `attachment; filename="${fileName}"` }),
    ...closing(response),
  })
  if (rest === undefined) {
    response.end(body)
    return
  }
  // What is not whole ends without its last chunk, which every client takes for the failure that it is.
  pipeline(rest, response).catch((error: Error) => {
    process.stderr.write(`<4>an answer was not sent to its end: ${error.message}\n`)
  })
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
