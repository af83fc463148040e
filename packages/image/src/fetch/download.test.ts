import { createHash, randomBytes } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { scratchDir } from '../tools/test-inputs.ts'
import { type Download, type DownloadOptions, download, FileNotThere } from './download.ts'
import { sendAndCut, sendWithRanges, startServer, type TestServer } from './test-server.ts'

const bytes = randomBytes(300_000)
const sha256 = createHash('sha256').update(bytes).digest('hex')

let dir: Awaited<ReturnType<typeof scratchDir>>
beforeEach(async () => {
  dir = await scratchDir()
})
afterEach(() => dir[Symbol.asyncDispose]())

async function bring(
  server: TestServer,
  file: Partial<Download> = {},
  options: Partial<DownloadOptions> = {},
) {
  let counted = 0
  const path = join(dir.path, 'file')
  const wanted = {
    addresses: [`${server.address}/f`],
    path,
    sizeBytes: bytes.length,
    sha256,
    title: 'f.deb',
    ...file,
  }
  const error = await download(wanted, {
    signal: new AbortController().signal,
    pauseMs: 1,
    onBytes: (count) => {
      counted += count
    },
    ...options,
  }).then(
    () => undefined,
    (caught: Error & { hint?: string }) => caught,
  )
  return { error, counted, left: (await readdir(dir.path)).sort(), requests: server.requests }
}

describe('a download', () => {
  test('arrives under its final name only', async () => {
    await using server = await startServer((request, response) => sendWithRanges(request, response, bytes))
    const { error, counted, left } = await bring(server)
    expect(error).toBeUndefined()
    expect(left).toEqual(['file'])
    expect(counted).toBe(bytes.length)
    expect(await readFile(join(dir.path, 'file'))).toEqual(bytes)
  })

  test('goes on where the connection was cut', async () => {
    const starts: number[] = []
    await using server = await startServer((request, response, count) => {
      const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? 'bytes=0-')![1])
      starts.push(start)
      if (count < 3) sendAndCut(response, bytes, 120_000, start)
      else sendWithRanges(request, response, bytes)
    })
    const { error, counted } = await bring(server)
    expect(error).toBeUndefined()
    // What was under way when the connection ended may be lost; what was written is not asked for again.
    expect(starts[0]).toBe(0)
    expect(starts[1]).toBeGreaterThan(0)
    expect(starts[2]).toBeGreaterThan(starts[1]!)
    expect(counted).toBe(bytes.length)
  })

  test('goes on where an earlier run was stopped', async () => {
    await writeFile(join(dir.path, 'file.part'), bytes.subarray(0, 123_456))
    await using server = await startServer((request, response) => sendWithRanges(request, response, bytes))
    const { error, requests, counted } = await bring(server)
    expect(error).toBeUndefined()
    expect(requests).toEqual(['GET /f bytes=123456-'])
    expect(counted).toBe(bytes.length)
  })

  test('begins anew where the server knows no ranges', async () => {
    await writeFile(join(dir.path, 'file.part'), bytes.subarray(0, 1000))
    await using server = await startServer((_, response) => response.end(bytes))
    const { error, counted } = await bring(server)
    expect(error).toBeUndefined()
    expect(counted).toBe(bytes.length)
  })

  test('is not spoilt by a leftover with other content', async () => {
    await writeFile(join(dir.path, 'file.part'), randomBytes(1000))
    await using server = await startServer((request, response) => sendWithRanges(request, response, bytes))
    const { error, requests } = await bring(server)
    expect(error).toBeUndefined()
    expect(requests).toEqual(['GET /f bytes=1000-', 'GET /f'])
  })

  test.each([bytes.length, bytes.length + 5])(
    'is not spoilt by a wrong leftover of %i bytes',
    async (size) => {
      await writeFile(join(dir.path, 'file.part'), randomBytes(size))
      await using server = await startServer((request, response) => sendWithRanges(request, response, bytes))
      expect((await bring(server)).error).toBeUndefined()
    },
  )

  test('is refused when its content is another one', async () => {
    const other = randomBytes(bytes.length)
    await using server = await startServer((_, response) => response.end(other))
    const { error, left, requests } = await bring(server)
    expect(error?.message).toBe('f.deb has the wrong content: its hash or size is not the expected one')
    expect(error?.hint).toContain('ATOMIXOS_DEBIAN_MIRROR')
    expect(left).toEqual([])
    expect(requests).toHaveLength(1)
  })

  test('is refused when it never ends', async () => {
    await using server = await startServer((_, response) => {
      const more = () => {
        while (!response.destroyed && response.write(bytes)) {}
      }
      response.on('drain', more)
      more()
    })
    const { error, left } = await bring(server)
    expect(error?.message).toBe('f.deb has the wrong content: its hash or size is not the expected one')
    expect(left).toEqual([])
  })

  test('gives up after several fruitless tries and keeps what it has for the next run', async () => {
    await using server = await startServer((_, response, count) => {
      if (count === 1) sendAndCut(response, bytes, 1000)
      else response.destroy()
    })
    const { error, left, requests } = await bring(server)
    expect(error?.message).toMatch(/^f\.deb could not be fetched: /)
    expect(error?.hint).toBe('check the connection and run the command again: it goes on where it stopped')
    expect(left).toEqual(['file.part'])
    expect(requests).toHaveLength(5)
  })

  test('outlives a server that is overloaded for a moment', async () => {
    await using server = await startServer((request, response, count) => {
      if (count < 3) response.writeHead(503).end()
      else sendWithRanges(request, response, bytes)
    })
    expect((await bring(server)).error).toBeUndefined()
  })

  test('does not insist where it is forbidden', async () => {
    await using server = await startServer((_, response) => response.writeHead(403).end())
    const { error, requests } = await bring(server)
    expect(error?.message).toBe(`f.deb could not be fetched: ${server.address}/f answered 403 Forbidden`)
    expect(requests).toHaveLength(1)
  })

  test('cuts a connection that brings nothing', async () => {
    await using server = await startServer((request, response, count) => {
      if (count === 1)
        response.writeHead(200, { 'content-length': bytes.length }).write(bytes.subarray(0, 10))
      else sendWithRanges(request, response, bytes)
    })
    const { error, requests } = await bring(server, {}, { stallMs: 200 })
    expect(error).toBeUndefined()
    expect(requests).toEqual(['GET /f', 'GET /f bytes=10-'])
  })

  test('asks the next address where a file is gone', async () => {
    await using server = await startServer((request, response) => {
      if (request.url === '/old') sendWithRanges(request, response, bytes)
      else response.writeHead(404).end('<html>not here</html>')
    })
    const { error, requests } = await bring(server, {
      addresses: [`${server.address}/new`, `${server.address}/old`],
    })
    expect(error).toBeUndefined()
    expect(requests).toEqual(['GET /new', 'GET /old'])
  })

  test('that is nowhere is told apart from other failures', async () => {
    await using server = await startServer((_, response) =>
      response.writeHead(404).end('<html>not here</html>'),
    )
    const { error, left } = await bring(server)
    expect(error).toBeInstanceOf(FileNotThere)
    expect(error?.message).toBe(`f.deb is not on the mirror (404):\n  ${server.address}/f`)
    expect(left).toEqual([])
  })

  test('names the reason when there is no server', async () => {
    const server = await startServer(() => {})
    await server[Symbol.asyncDispose]()
    const { error } = await bring(server)
    expect(error?.message).toMatch(/^f\.deb could not be fetched: connect ECONNREFUSED 127\.0\.0\.1:\d+$/)
  })

  test('stops when it is told to', async () => {
    await using server = await startServer((_, response) => {
      response.writeHead(200, { 'content-length': bytes.length }).write(bytes.subarray(0, 10))
    })
    const controller = new AbortController()
    setTimeout(() => controller.abort(new Error('enough')), 100)
    const { error } = await bring(server, {}, { signal: controller.signal })
    expect(error?.message).toBe('enough')
  })
})
