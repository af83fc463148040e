import { randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type DownloadOptions, download } from './download.ts'
import type { DownloadLimits } from './download-limits.ts'
import { makeCertificate } from './test-certificates.ts'
import { cutWhenThere, failure, type Scratch, scratch, startServer, type TestServer } from './test-server.ts'

const bytes = randomBytes(300_000)
const etag = '"one"'
const part = ['bundle.raucb.part', 'bundle.raucb.part.json']

let dir: Scratch
beforeEach(async () => {
  dir = await scratch()
})
afterEach(() => dir[Symbol.asyncDispose]())

const path = () => join(dir.path, 'bundle.raucb')
const left = async () => (await readdir(dir.path)).sort()

function bring(
  server: TestServer,
  { limits, ...options }: Partial<DownloadOptions> & { limits?: Partial<DownloadLimits> } = {},
) {
  return download({
    ...{ url: `${server.address}/b`, version: '1.2.3', path: path(), authorities: dir.authorities },
    limits: { idleMs: 5000, reserveBytes: 0, ...limits },
    ...options,
  })
}

/** As a good static server does. */
function serve(request: IncomingMessage, response: ServerResponse): void {
  serveBytes(request, response, { body: bytes, tag: etag })
}

function serveBytes(
  request: IncomingMessage,
  response: ServerResponse,
  { body = bytes, tag = etag }: { body?: Buffer; tag?: string },
): void {
  const asked = /^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1]
  const start = request.headers['if-range'] === tag && asked !== undefined ? Number(asked) : 0
  const rest = body.subarray(start)
  const range = { 'content-range': `bytes ${start}-${body.length - 1}/${body.length}` }
  response.writeHead(start > 0 ? 206 : 200, {
    etag: tag,
    'content-length': rest.length,
    ...(start > 0 && range),
  })
  response.end(rest)
}

/** Announces all, sends the first `count` and cuts the connection. */
function cutAfter(response: ServerResponse, count: number, headers: Record<string, string> = { etag }): void {
  response.writeHead(200, { 'content-length': bytes.length, ...headers })
  response.write(bytes.subarray(0, count), () => cutWhenThere(response, `${path()}.part`, count))
}

test('a bundle arrives under its final name only, and progress is told', async () => {
  const progress: [number, number | undefined][] = []
  await using server = await startServer(serve)
  await bring(server, { onProgress: (...now) => progress.push(now) })
  expect(await left()).toEqual(['bundle.raucb'])
  expect(await readFile(path())).toEqual(bytes)
  expect((await stat(path())).mode & 0o777).toBe(0o600)
  expect(progress[0]).toEqual([0, bytes.length])
  expect(progress.at(-1)).toEqual([bytes.length, bytes.length])
})

test('a length that is not announced is no obstacle', async () => {
  await using server = await startServer((_, response) => {
    response.write(bytes.subarray(0, 1000))
    response.end(bytes.subarray(1000))
  })
  await bring(server, { limits: { syncEveryBytes: 50_000 } })
  expect(await readFile(path())).toEqual(bytes)
})

describe('after a cut', () => {
  async function cutOnce(then: typeof serve, headers?: Record<string, string>) {
    const server = await startServer((request, response, count) =>
      count === 1 ? cutAfter(response, 120_000, headers) : then(request, response),
    )
    const error = await failure(bring(server))
    expect(error).toMatchObject({
      kind: 'network',
      message: 'the update server cut the connection (ECONNRESET)',
    })
    return server
  }

  test('the rest is asked for, and only the rest', async () => {
    await using server = await cutOnce(serve)
    expect(await left()).toEqual(part)
    await bring(server)
    expect(server.requests[1]!.headers).toMatchObject({
      range: expect.stringMatching(/^bytes=[1-9]\d*-$/),
      'if-range': etag,
    })
    expect(await readFile(path())).toEqual(bytes)
    expect(await left()).toEqual(['bundle.raucb'])
  })

  test('by the time of change when there is no ETag', async () => {
    const changed = 'Tue, 24 Nov 2020 10:00:00 GMT'
    await using server = await cutOnce(
      (request, response) => serveBytes(request, response, { tag: changed }),
      {
        'last-modified': changed,
      },
    )
    await bring(server)
    expect(server.requests[1]!.headers['if-range']).toBe(changed)
    expect(await readFile(path())).toEqual(bytes)
  })

  test('nothing is kept of a server by which it could not be gone on', async () => {
    await using server = await cutOnce(serve, { etag: 'W/"weak"' })
    expect(await left()).toEqual([])
    await bring(server)
    expect(server.requests[1]!.headers).not.toHaveProperty('range')
  })

  const other = randomBytes(200_000)
  test.each<[string, typeof serve, Buffer, number]>([
    [
      'other bytes',
      (request, response) => serveBytes(request, response, { body: other, tag: '"two"' }),
      other,
      2,
    ],
    [
      'no ranges',
      (_, response) => response.writeHead(200, { 'content-length': bytes.length }).end(bytes),
      bytes,
      2,
    ],
    ['a range that starts elsewhere', liar(`bytes 1-${bytes.length - 1}/${bytes.length}`), bytes, 3],
    ['a range without its place', liar(undefined), bytes, 3],
    [
      'a range of other bytes',
      liar((start) => `bytes ${start}-${bytes.length - 1}/${bytes.length}`, '"two"'),
      bytes,
      3,
    ],
    [
      'a range of another whole',
      liar((start) => `bytes ${start}-${bytes.length - 2}/${bytes.length - 1}`),
      bytes,
      3,
    ],
    [
      'no such range',
      (request, response) =>
        request.headers.range === undefined ? serve(request, response) : response.writeHead(416).end(),
      bytes,
      3,
    ],
  ])('a server with %s is asked for everything again', async (_, then, expected, requests) => {
    await using server = await cutOnce(then)
    await bring(server)
    expect(server.requests).toHaveLength(requests)
    expect(await readFile(path())).toEqual(expected)
    expect(await left()).toEqual(['bundle.raucb'])
  })

  test('another version or address starts anew', async () => {
    await using server = await cutOnce(serve)
    await bring(server, { version: '1.2.4' })
    expect(server.requests[1]!.headers).not.toHaveProperty('range')
    await using second = await cutOnce(serve)
    await bring(second, { url: `${second.address}/other` })
    expect(second.requests[1]!.headers).not.toHaveProperty('range')
  })

  test('a busy server does not cost what is there already', async () => {
    await using server = await cutOnce((request, response) =>
      server.requests.length === 2 ? response.writeHead(503).end() : serve(request, response),
    )
    expect(await failure(bring(server))).toMatchObject({ kind: 'status', status: 503 })
    await bring(server)
    expect(server.requests[2]!.headers).toHaveProperty('range')
    expect(await readFile(path())).toEqual(bytes)
  })

  test('what lies behind the bytes that were synced is not believed', async () => {
    await using server = await cutOnce(serve)
    const state = JSON.parse(await readFile(`${path()}.part.json`, 'utf8'))
    await writeFile(`${path()}.part.json`, JSON.stringify({ ...state, syncedBytes: 1000 }))
    await writeFile(`${path()}.part`, Buffer.concat([bytes.subarray(0, 1000), Buffer.alloc(400_000)]))
    await bring(server)
    expect(server.requests[1]!.headers.range).toBe('bytes=1000-')
    expect(await readFile(path())).toEqual(bytes)
  })

  test('a part that is shorter than said, or whose description is torn, is not used', async () => {
    await using server = await cutOnce(serve)
    await writeFile(`${path()}.part`, 'short')
    await bring(server)
    expect(server.requests[1]!.headers).not.toHaveProperty('range')
    await writeFile(`${path()}.part`, bytes)
    await writeFile(`${path()}.part.json`, '{"url":')
    await bring(server)
    expect(server.requests[2]!.headers).not.toHaveProperty('range')
    expect(await readFile(path())).toEqual(bytes)
  })

  test('a part that is complete already only gets its name', async () => {
    await using server = await startServer(serve)
    await mkdir(dir.path)
    const state = { url: `${server.address}/b`, version: '1.2.3', validator: etag }
    const counts = { totalBytes: bytes.length, syncedBytes: bytes.length }
    await writeFile(`${path()}.part`, bytes)
    await writeFile(`${path()}.part.json`, JSON.stringify({ ...state, ...counts }))
    await bring(server)
    expect(server.requests).toHaveLength(0)
    expect(await readFile(path())).toEqual(bytes)
    expect(await left()).toEqual(['bundle.raucb'])
  })
})

describe('nothing is left of', () => {
  test.each<[string, (request: IncomingMessage, response: ServerResponse) => void, object]>([
    ['a status', (_, response) => response.writeHead(404).end('x'), { kind: 'status', status: 404 }],
    ['nothing', (_, response) => response.end(), { kind: 'answer', message: 'the bundle is empty' }],
    ['a part that nobody asked for', (_, response) => response.writeHead(206).end('x'), { kind: 'status' }],
    ['an endless body', (_, response) => pour(response), { kind: 'too-large' }],
    [
      'a body that is announced too large',
      (_, response) => response.writeHead(200, { etag, 'content-length': 2e9 }).flushHeaders(),
      { kind: 'too-large' },
    ],
    [
      'a redirect to http',
      (_, response) => response.writeHead(302, { location: 'http://127.0.0.1/' }).end(),
      { kind: 'redirect', message: 'redirects to http are not followed' },
    ],
    [
      'a body that is shorter than announced',
      (_, response) => cutAfter(response, 1000, {}),
      { kind: 'network', code: 'ECONNRESET' },
    ],
    [
      'chunks without an end',
      (_, response) => response.write('x', () => setTimeout(() => response.destroy(), 20)),
      { kind: 'network' },
    ],
  ])('%s', async (_, answer, facts) => {
    await using server = await startServer(answer)
    expect(await failure(bring(server, { limits: { sizeBytesMax: 1_000_000 } }))).toMatchObject(facts)
    expect(await left()).toEqual([])
  })

  test('a server that is not trusted', async () => {
    const stranger = makeCertificate({ name: 'stranger', ipAddress: '127.0.0.1' })
    await using server = await startServer(serve, stranger)
    expect(await failure(bring(server))).toMatchObject({ kind: 'tls' })
    expect(await left()).toEqual([])
  })

  test('an earlier bundle under the final name', async () => {
    await using server = await startServer((_, response) => response.writeHead(404).end())
    await mkdir(dir.path)
    await writeFile(path(), 'old')
    await failure(bring(server))
    expect(await left()).toEqual([])
  })

  test('a body that is longer than announced, but what was announced', async () => {
    await using server = await startServer((request) => {
      request.socket.end('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12345678')
    })
    const error = await bring(server).catch((caught: Error) => caught)
    if (error === undefined) expect(await readFile(path(), 'utf8')).toBe('12345')
    else expect(await left()).toEqual([])
  })
})

describe('a disk that is too full', () => {
  test('is not begun to be filled', async () => {
    await using server = await startServer(serve)
    const freeBytes = async () => (1 << 20) + bytes.length - 1
    expect(await failure(bring(server, { freeBytes, limits: { reserveBytes: 1 << 20 } }))).toMatchObject({
      kind: 'disk',
      message: `not enough space in ${dir.path}: 1 MiB are free, 1 MiB are needed, of which 1 MiB stay free`,
    })
    expect(await left()).toEqual([])
    await bring(server, {
      freeBytes: async () => (1 << 20) + bytes.length,
      limits: { reserveBytes: 1 << 20 },
    })
  })

  test('by others in the meantime gets back what was written', async () => {
    await using server = await startServer(serve)
    let freeBytes = 10 << 20
    const limits = { reserveBytes: 1 << 20, syncEveryBytes: 50_000 }
    const options = { limits, freeBytes: async () => freeBytes, onProgress: () => (freeBytes = 1000) }
    expect(await failure(bring(server, options as never))).toMatchObject({ kind: 'disk' })
    expect(await left()).toEqual([])
  })

  test('is asked by its real file system, too', async () => {
    await using server = await startServer(serve)
    expect(await failure(bring(server, { limits: { reserveBytes: 2 ** 60 } }))).toMatchObject({
      kind: 'disk',
    })
  })

  test('or no folder can be made', async () => {
    await using server = await startServer(serve)
    await writeFile(dir.path, 'a file')
    expect(await failure(bring(server))).toMatchObject({ kind: 'disk', code: 'EEXIST' })
  })
})

describe('is stopped, and what came is kept:', () => {
  const begin = (response: ServerResponse) => {
    response.writeHead(200, { etag, 'content-length': bytes.length }).write(bytes.subarray(0, 1000))
  }
  test('a server that falls silent', async () => {
    await using server = await startServer((_, response) => begin(response))
    expect(await failure(bring(server, { limits: { idleMs: 150 } }))).toMatchObject({
      kind: 'timeout',
      message: 'the update server sent nothing for 0.15 s',
    })
    expect(await left()).toEqual(part)
    expect(JSON.parse(await readFile(`${path()}.part.json`, 'utf8'))).toMatchObject({ syncedBytes: 1000 })
  })

  test('a server that never says anything', async () => {
    await using server = await startServer(() => {})
    expect(await failure(bring(server, { limits: { idleMs: 150 } }))).toMatchObject({ kind: 'timeout' })
    expect(await left()).toEqual([])
  })

  const drip = (response: ServerResponse, count: number) => {
    begin(response)
    const timer = setInterval(() => response.write(Buffer.alloc(count)), 20)
    response.on('close', () => clearInterval(timer))
  }
  test('a server that trickles', async () => {
    await using server = await startServer((_, response) => drip(response, 1))
    const limits = { rateWindowMs: 300, bytesPerSMin: 1_000_000 }
    expect(await failure(bring(server, { limits }))).toMatchObject({
      kind: 'timeout',
      message: expect.stringMatching(
        /^the update server trickles: \d+ bytes per second over 0.3 s, less than 1000000$/,
      ),
    })
    expect(await left()).toEqual(part)
  })

  test('a download that takes for ever', async () => {
    await using server = await startServer((_, response) => drip(response, 10))
    expect(await failure(bring(server, { limits: { overallMs: 360 } }))).toMatchObject({
      message: 'the download takes longer than 0.0001 h; the next one goes on with it',
    })
    expect(await left()).toEqual(part)
  })

  test('a device that is being shut down', async () => {
    await using server = await startServer((_, response) => drip(response, 10))
    const error = await failure(bring(server, { signal: AbortSignal.timeout(150) }))
    expect(error).toMatchObject({ kind: 'stopped', message: 'the download was stopped' })
    expect(await left()).toEqual(part)
  })
})

/** Answers a range with something else than was asked, and everything else well. */
function liar(contentRange: string | undefined | ((start: number) => string), tag = etag): typeof serve {
  return (request, response) => {
    const start = Number(/\d+/.exec(request.headers.range ?? '')?.[0] ?? Number.NaN)
    if (Number.isNaN(start)) return serve(request, response)
    const range = typeof contentRange === 'function' ? contentRange(start) : contentRange
    response.writeHead(206, { etag: tag, ...(range !== undefined && { 'content-range': range }) })
    response.end(bytes.subarray(start))
  }
}

function pour(response: ServerResponse): void {
  const block = Buffer.alloc(16 << 10)
  const more = () => {
    while (!response.destroyed && response.write(block));
  }
  response.on('drain', more)
  more()
}
