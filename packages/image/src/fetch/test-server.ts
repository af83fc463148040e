import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface TestServer extends AsyncDisposable {
  /** `http://127.0.0.1:PORT`. */
  readonly address: string
  /** `GET /path` or `GET /path RANGE`, in order. */
  readonly requests: readonly string[]
}

/** For tests: a real server on the loopback address whose answers the test decides. */
export async function startServer(
  answer: (request: IncomingMessage, response: ServerResponse, count: number) => void,
): Promise<TestServer> {
  const requests: string[] = []
  const server = createServer((request, response) => {
    requests.push([request.method, request.url, request.headers.range].filter(Boolean).join(' '))
    answer(request, response, requests.length)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

/** Sends `bytes` as a server that knows ranges does. */
export function sendWithRanges(request: IncomingMessage, response: ServerResponse, bytes: Buffer): void {
  const start = /^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1]
  if (start === undefined) response.writeHead(200, { 'content-length': bytes.length }).end(bytes)
  else if (Number(start) >= bytes.length) response.writeHead(416).end()
  else {
    const rest = bytes.subarray(Number(start))
    const range = `bytes ${start}-${bytes.length - 1}/${bytes.length}`
    response.writeHead(206, { 'content-length': rest.length, 'content-range': range }).end(rest)
  }
}

/** Announces all of `bytes`, sends the first `count` from `start` on and cuts the connection. */
export function sendAndCut(response: ServerResponse, bytes: Buffer, count: number, start = 0): void {
  if (start === 0) response.writeHead(200, { 'content-length': bytes.length })
  else response.writeHead(206, { 'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}` })
  // The pause lets the bytes be read: a client may drop what it has in hand when a connection ends.
  response.write(bytes.subarray(start, start + count), () => setTimeout(() => response.socket?.end(), 300))
}
