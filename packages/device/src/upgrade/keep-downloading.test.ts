import { createHash, randomBytes } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type KeepDownloadingOptions, keepDownloading, pauseLengthMs } from './keep-downloading.ts'
import { parseUpgradeSettings } from './settings.ts'
import { cutWhenThere, failure, type Scratch, scratch, startServer, type TestServer } from './test-server.ts'

let dir: Scratch
beforeEach(async () => {
  dir = await scratch()
})
afterEach(() => dir[Symbol.asyncDispose]())

const path = () => join(dir.path, 'bundle.raucb')

function keep(server: TestServer, options: Partial<KeepDownloadingOptions> = {}) {
  return keepDownloading({
    ...{ url: `${server.address}/b`, version: '1.2.3', path: path(), authorities: dir.authorities },
    limits: { idleMs: 5000, reserveBytes: 0 },
    pauseMs: { first: 10, most: 40 },
    say: () => {},
    ...options,
  })
}

interface Link {
  /** What a connection brings before it is cut. */
  readonly bytesPerConnection: number
  readonly headers?: Record<string, string>
}

/** As a good server behind a bad link; counts what it sent of the body. */
async function cutting(body: Buffer, { bytesPerConnection, headers = { etag: '"one"' } }: Link) {
  const counted = { sentBytes: 0, connections: 0 }
  const server = await startServer((request, response) => {
    counted.connections += 1
    const asked = /^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1]
    const start = asked !== undefined && request.headers['if-range'] === headers.etag ? Number(asked) : 0
    const rest = body.subarray(start)
    response.writeHead(start > 0 ? 206 : 200, {
      ...headers,
      'content-length': rest.length,
      ...(start > 0 && { 'content-range': `bytes ${start}-${body.length - 1}/${body.length}` }),
    })
    const sent = rest.subarray(0, bytesPerConnection)
    counted.sentBytes += sent.length
    if (sent.length === rest.length) response.end(sent)
    // When the bytes were read: a link that dies after 20 s has brought what it sent before.
    else response.write(sent, () => cutWhenThere(response, `${path()}.part`, start + sent.length))
  })
  return { server, counted }
}

test('a link that is cut 30 times completes, and less than 5 % of the bytes come twice', {
  timeout: 60_000,
}, async () => {
  const body = randomBytes(30_000_000)
  const { server, counted } = await cutting(body, { bytesPerConnection: 1_000_000 })
  await using _ = server
  const said: string[] = []
  await keep(server, { say: (line) => said.push(line) })
  const hash = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
  expect(hash(await readFile(path()))).toBe(hash(body))
  expect(counted.connections).toBeGreaterThanOrEqual(30)
  expect(counted.sentBytes).toBeLessThan(body.length * 1.05)
  expect(said[0]).toMatch(/^<5>the update server cut the connection .*; it goes on at \d+ % in 1 s$/)
  expect(await readdir(dir.path)).toEqual(['bundle.raucb'])
})

describe('it ends, and the next round goes on,', () => {
  test('when nothing more comes several times in a row', async () => {
    const body = randomBytes(300_000)
    let connections = 0
    await using server = await startServer((_, response) => {
      connections += 1
      if (connections > 1) return void response.destroy()
      response.writeHead(200, { etag: '"one"', 'content-length': body.length })
      const cut = () => cutWhenThere(response, `${path()}.part`, 100_000)
      response.write(body.subarray(0, 100_000), cut)
    })
    expect(await failure(keep(server))).toMatchObject({ kind: 'network' })
    expect(connections).toBe(6)
    expect(await readdir(dir.path)).toContain('bundle.raucb.part')
  })

  test('at once when there is no part to go on with', async () => {
    const { server, counted } = await cutting(randomBytes(300_000), { bytesPerConnection: 1000, headers: {} })
    await using _ = server
    expect(await failure(keep(server))).toMatchObject({ kind: 'network' })
    expect(counted.connections).toBe(1)
  })

  test('at once when the server says no', async () => {
    let connections = 0
    await using server = await startServer((_, response) => {
      connections += 1
      response.writeHead(404).end()
    })
    expect(await failure(keep(server))).toMatchObject({ kind: 'status' })
    expect(connections).toBe(1)
  })

  test('when its time is over', async () => {
    const { server } = await cutting(randomBytes(3_000_000), { bytesPerConnection: 10_000 })
    await using _ = server
    const limits = { idleMs: 5000, reserveBytes: 0, overallMs: 400 }
    expect(await failure(keep(server, { limits }))).toMatchObject({ name: 'UpdateServerError' })
  })

  test('when it is stopped while it waits', async () => {
    const { server } = await cutting(randomBytes(300_000), { bytesPerConnection: 100_000 })
    await using _ = server
    const stop = new AbortController()
    const pauseMs = { first: 60_000, most: 60_000 }
    const work = keep(server, { signal: stop.signal, pauseMs, say: () => stop.abort() })
    expect(await failure(work)).toMatchObject({ name: 'UpdateServerError' })
  })
})

test('pauses grow to a bound, and are spread over half of their length', () => {
  const pause = (vain: number, random: number) => pauseLengthMs({ vain, random, first: 5000, most: 600_000 })
  expect([0, 1, 2, 3, 30].map((vain) => pause(vain, 0))).toEqual([2500, 5000, 10_000, 20_000, 300_000])
  expect(pause(30, 0.5)).toBe(450_000)
  const many = Array.from({ length: 1000 }, (_, i) => pause(4, i / 1000))
  expect(Math.max(...many) / Math.min(...many)).toBeGreaterThan(1.9)
})

test('a rate limit holds, and its pauses are not taken for silence of the server', async () => {
  const body = randomBytes(400_000)
  const { server } = await cutting(body, { bytesPerConnection: Number.POSITIVE_INFINITY })
  await using _ = server
  const start = performance.now()
  // Each pause is longer than the silence that is taken.
  await keep(server, { bytesPerSMax: 200_000, limits: { idleMs: 60, reserveBytes: 0 } })
  const seconds = (performance.now() - start) / 1000
  expect(seconds).toBeGreaterThan(1.9)
  expect(seconds).toBeLessThan(10)
  expect((await readFile(path())).equals(body)).toBe(true)
})

test("the limit is the operator's", () => {
  const settings = (rate: unknown) =>
    parseUpgradeSettings(JSON.stringify({ server_url: 'https://x.example', download_kib_per_second: rate }))
  expect(settings(undefined).downloadBytesPerSMax).toBeUndefined()
  expect(settings(256).downloadBytesPerSMax).toBe(262_144)
  for (const wrong of [0, 31, 1.5, '256', null, 2 ** 30]) {
    expect(() => settings(wrong)).toThrow('"download_kib_per_second" is no whole number from 32 to 1048576')
  }
})
