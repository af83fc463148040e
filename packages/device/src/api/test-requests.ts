import { once } from 'node:events'
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { connect } from 'node:net'
import { buffer } from 'node:stream/consumers'

export interface TestAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  /** Of a JSON answer. */
  readonly json: Record<string, unknown>
}

export interface TestRequest {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
}

/** For tests: one request over a connection of its own, with just these headers. */
export async function ask(
  port: number,
  target: string,
  { method = 'GET', headers = {}, body }: TestRequest = {},
): Promise<TestAnswer> {
  const request = httpRequest({
    ...{ host: '127.0.0.1', port, method, path: target, agent: false },
    headers: {
      ...(body !== undefined && { 'Content-Length': String(Buffer.byteLength(body)) }),
      ...headers,
    },
  })
  const answered = once(request, 'response')
  // Who is refused early hears of it although his body is not taken.
  request.on('error', () => {})
  request.end(body)
  const [response] = await answered
  const text = (await buffer(response)).toString('utf8')
  const isJson = /^application\/json/.test(response.headers['content-type'] ?? '')
  return {
    status: response.statusCode,
    headers: response.headers,
    text,
    json: isJson && text !== '' ? JSON.parse(text) : {},
  }
}

/** For tests: sends bytes as they are, gives all that comes back until the other side ends the connection. */
export async function sendRaw(port: number, bytes: string | Uint8Array): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  socket.write(bytes)
  await once(socket, 'close')
  return Buffer.concat(chunks).toString('latin1')
}
