import { rm, writeFile } from 'node:fs/promises'
import { createServer as createHttpServer } from 'node:http'
import { createServer as createTcpServer, type Socket } from 'node:net'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type FetchLatestOptions, fetchLatest } from './fetch-latest.ts'
import { makeCertificate } from './test-certificates.ts'
import {
  authority,
  failure,
  listen,
  type Scratch,
  scratch,
  startServer,
  type TestServer,
} from './test-server.ts'

const dayMs = 86_400_000
const good = JSON.stringify({ version: '1.2.3', bundle_url: '/bundles/1.2.3.raucb', notes: ['ignored'] })

let dir: Scratch
beforeEach(async () => {
  dir = await scratch()
})
afterEach(() => dir[Symbol.asyncDispose]())

function ask(serverUrl: string, options: Partial<FetchLatestOptions> = {}) {
  return fetchLatest({
    ...{ serverUrl, deviceId: '0a1b2c3d4e5f', runningVersion: '1.0.0' },
    authorities: dir.authorities,
    timeoutMs: 5000,
    ...options,
  })
}

describe('a server that behaves', () => {
  test('is told who asks and what runs, and answers what is the latest', async () => {
    await using server = await startServer((_, response) => response.end(good))
    expect(await ask(`${server.address}/`)).toEqual({
      version: '1.2.3',
      bundleUrl: `${server.address}/bundles/1.2.3.raucb`,
    })
    const [request] = server.requests
    expect([request!.method, request!.url]).toEqual(['GET', '/api/v1/updates/latest'])
    expect(request!.headers).toMatchObject({
      'x-device-id': '0a1b2c3d4e5f',
      'x-current-version': '1.0.0',
      'accept-encoding': 'identity',
    })
  })

  test('may be asked by a device without an address of its own', async () => {
    await using server = await startServer((_, response) => response.end(good))
    await ask(server.address, { deviceId: undefined })
    expect(server.requests[0]!.headers).not.toHaveProperty('x-device-id')
  })

  test('may redirect three times; another server is not told who asks', async () => {
    await using other = await startServer((_, response) => response.end(good))
    await using server = await startServer((_, response, count) =>
      response.writeHead(302, { location: count < 3 ? '/again' : `${other.address}/there` }).end(),
    )
    expect(await ask(server.address)).toMatchObject({ version: '1.2.3' })
    expect(server.requests.map(({ url }) => url)).toEqual(['/api/v1/updates/latest', '/again', '/again'])
    expect(server.requests[2]!.headers).toHaveProperty('x-device-id')
    expect(other.requests[0]!.headers).not.toHaveProperty('x-device-id')
  })
})

describe('is refused with one line:', () => {
  test.each<[string, number, string, string]>([
    ['nothing', 200, '', 'the answer is not JSON: it is empty'],
    ['HTML', 200, '<html>\n<h1>Log in', 'the answer is not JSON: it begins with "<html> <h1>Log in"'],
    ['garbage', 200, '\0\u001b[2Jx', 'the answer is not JSON: it begins with "[2Jx"'],
    ['a list', 200, '[]', 'the answer is not a JSON object: it begins with "[]"'],
  ])('%s', async (_, status, body, reason) => {
    await using server = await startServer((_, response) => response.writeHead(status).end(body))
    const error = await failure(ask(server.address))
    expect(error).toMatchObject({ name: 'UpdateServerError', kind: 'answer' })
    expect(error.message).toBe(`the update server's answer is refused: ${reason}`)
  })

  test.each([404, 500, 204, 206, 304])('status %i', async (status) => {
    await using server = await startServer((_, response) => response.writeHead(status, 'Told you').end())
    expect(await failure(ask(server.address))).toMatchObject({
      kind: 'status',
      status,
      message: `the update server answers ${status} Told you`,
    })
  })

  test('a compressed answer', async () => {
    await using server = await startServer((_, response) =>
      response.writeHead(200, { 'content-encoding': 'gzip' }).end('x'),
    )
    expect((await failure(ask(server.address))).message).toBe(
      'the answer is compressed (gzip), which was not asked for',
    )
  })

  test.each([
    ['http://127.0.0.1/x', 'redirects to http are not followed'],
    ['ftp://127.0.0.1/x', 'redirects to ftp are not followed'],
    ['https://user:secret@127.0.0.1/x', 'addresses with credentials are not asked'],
    ['https://', '"https://" is not an address to go to'],
    ['/loop', 'more than 3 redirects'],
  ])('a redirect to %s', async (location, message) => {
    await using server = await startServer((_, response) => response.writeHead(302, { location }).end())
    expect(await failure(ask(server.address))).toMatchObject({ kind: 'redirect', message })
    expect(server.requests).toHaveLength(location === '/loop' ? 4 : 1)
  })

  test('a redirect to nowhere', async () => {
    await using server = await startServer((_, response) => response.writeHead(301).end())
    expect((await failure(ask(server.address))).message).toBe('"" is not an address to go to')
  })

  test('an endless answer', async () => {
    await using server = await startServer((_, response) => pour(response))
    expect(await failure(ask(server.address))).toMatchObject({
      kind: 'too-large',
      message: 'the answer is larger than 64 KiB',
    })
  })

  test('an answer of one byte too many', async () => {
    let sizeBytes = 64 << 10
    await using server = await startServer((_, response) => response.end(good.padEnd(sizeBytes)))
    expect(await ask(server.address)).toMatchObject({ version: '1.2.3' })
    sizeBytes += 1
    expect(await failure(ask(server.address))).toMatchObject({ kind: 'too-large' })
  })

  test('an answer that is cut', async () => {
    await using server = await startServer((_, response) => {
      response.writeHead(200, { 'content-length': 100 }).write(good.slice(0, 20), () => response.destroy())
    })
    expect(await failure(ask(server.address))).toMatchObject({ kind: 'network', code: 'ECONNRESET' })
  })

  test('a server that was configured without https', async () => {
    expect((await failure(ask('http://127.0.0.1:1'))).message).toBe('http is not asked, only https')
  })
})

describe('takes no longer than allowed:', () => {
  const late = 'the update server did not answer within 0.2 s'
  test('a server that is silent', async () => {
    await using server = await startServer(() => {})
    expect(await failure(ask(server.address, { timeoutMs: 200 }))).toMatchObject({
      kind: 'timeout',
      message: late,
    })
  })
  test('a server that is silent before the handshake', async () => {
    const sockets: Socket[] = []
    await using server = await listen(
      createTcpServer((socket) => sockets.push(socket.on('error', () => {}))) as never,
      'https',
    )
    expect((await failure(ask(server.address, { timeoutMs: 200 }))).message).toBe(late)
    for (const socket of sockets) socket.destroy()
  })
  test('a server that stops within the headers', async () => {
    await using server = await startServer((request) => request.socket.write('HTTP/1.1 200 OK\r\nX-Part: '))
    expect((await failure(ask(server.address, { timeoutMs: 200 }))).message).toBe(late)
  })
  test('a server that stops within the answer', async () => {
    await using server = await startServer((_, response) => response.writeHead(200).write('{'))
    expect((await failure(ask(server.address, { timeoutMs: 200 }))).message).toBe(late)
  })
  test('a server that drips', async () => {
    await using server = await startServer((_, response) => {
      const timer = setInterval(() => response.write(' '), 20)
      response.on('close', () => clearInterval(timer))
    })
    expect((await failure(ask(server.address, { timeoutMs: 200 }))).message).toBe(late)
  })
  test('a device that is being shut down', async () => {
    await using server = await startServer(() => {})
    const signal = AbortSignal.timeout(50)
    expect(await failure(ask(server.address, { signal }))).toMatchObject({
      kind: 'stopped',
      message: 'the request was stopped',
    })
  })
})

describe('is not HTTP over TLS:', () => {
  test('a server that is not there', async () => {
    const server = await startServer(() => {})
    await server[Symbol.asyncDispose]()
    expect((await failure(ask(server.address))).message).toBe(
      'the update server refuses the connection (ECONNREFUSED)',
    )
  })
  test('a server that speaks without encryption', async () => {
    await using server = await listen(createHttpServer((_, response) => response.end(good)) as never, 'https')
    expect(await failure(ask(server.address))).toMatchObject({
      kind: 'tls',
      message: expect.stringMatching(/^no encrypted connection to the update server \(E/),
    })
  })
  test('a server that sends no HTTP', async () => {
    await using server = await startServer((request) => request.socket.end('hello\r\n\r\n'))
    expect(await failure(ask(server.address))).toMatchObject({
      kind: 'answer',
      message: expect.stringMatching(/^what the update server sends is not HTTP \(HPE_/),
    })
  })
})

describe('is only trusted with a certificate that', () => {
  const leaf = { name: 'leaf', issuer: authority, ipAddress: '127.0.0.1' }
  test.each([
    [
      'did not sign itself',
      { name: 'leaf', ipAddress: '127.0.0.1' },
      'is not trusted (self-signed certificate)',
    ],
    [
      'comes from a known authority',
      { ...leaf, issuer: makeCertificate({ name: 'stranger', authority: true }) },
      'is not trusted (its authority is unknown here)',
    ],
    ['has not expired', { ...leaf, endMs: Date.now() - dayMs / 2 }, 'has expired'],
    [
      'is valid already',
      { ...leaf, startMs: Date.now() + dayMs / 2 },
      "is not valid yet (is this device's clock right?)",
    ],
    ['is for this server', { ...leaf, ipAddress: '127.0.0.2' }, 'is for another name'],
  ])('%s', async (_, options, reason) => {
    await using server = await startServer((_, response) => response.end(good), makeCertificate(options))
    const error = await failure(ask(server.address))
    expect(error).toMatchObject({ kind: 'tls', message: `the update server's certificate ${reason}` })
    expect(server.requests).toEqual([])
  })

  describe('comes from either file of authorities', () => {
    let server: TestServer
    beforeAll(async () => {
      server = await startServer((_, response) => response.end(good))
    })
    afterAll(() => server[Symbol.asyncDispose]())

    test('a public authority needs no private file', async () => {
      await writeFile(dir.authorities.public, authority.pem)
      await rm(dir.authorities.private)
      expect(await ask(server.address)).toMatchObject({ version: '1.2.3' })
    })
    test('a broken private file takes nothing from the public one, and is told when trust is missing', async () => {
      await writeFile(dir.authorities.private, 'not a certificate')
      expect((await failure(ask(server.address))).message).toBe(
        "the update server's certificate is not trusted (its authority is unknown here); " +
          `${dir.authorities.private} holds no certificate`,
      )
      await writeFile(dir.authorities.public, authority.pem)
      expect(await ask(server.address)).toMatchObject({ version: '1.2.3' })
    })
    test('without any file nobody is trusted, not even whom Node would', async () => {
      await rm(dir.authorities.public)
      await rm(dir.authorities.private)
      expect((await failure(ask(server.address))).message).toBe(
        "the update server's certificate is not trusted (its authority is unknown here); " +
          `${dir.authorities.public} can't be read (ENOENT)`,
      )
    })
    test('no environment variable switches the check off', async () => {
      await rm(dir.authorities.private)
      process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'
      try {
        expect(await failure(ask(server.address))).toMatchObject({ kind: 'tls' })
      } finally {
        delete process.env.NODE_TLS_REJECT_UNAUTHORIZED
      }
    })
  })
})

function pour(response: import('node:http').ServerResponse): void {
  const block = Buffer.alloc(16 << 10, 'x')
  const more = () => {
    while (!response.destroyed && response.write(block));
  }
  response.on('drain', more)
  more()
}
