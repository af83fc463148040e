import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { openTestInputs } from '@atomixos/image/tools/test-inputs.ts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Listening } from '../listen.ts'
import { openServerCertificate, serveFeed } from './serve-feed.ts'

let dir: string
let server: Listening
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'atomixos-serve-'))
  await mkdir(join(dir, 'feed/bundles'), { recursive: true })
  await writeFile(join(dir, 'feed/bundles/b.raucb'), '0123456789')
  await writeFile(join(dir, 'feed/empty'), '')
  await writeFile(join(dir, 'feed/.publishing'), 'hidden')
  await writeFile(join(dir, 'feed/stable.channel'), 'channel')
  await writeFile(join(dir, 'secret'), 'secret')
  server = await serveFeed({ dir: join(dir, 'feed'), port: 0, certificate: undefined })
})
afterAll(async () => {
  await server[Symbol.asyncDispose]()
  await rm(dir, { recursive: true, force: true })
})

async function ask(path: string, headers: Record<string, string> = {}, method = 'GET') {
  return new Promise<{ status: number; body: string; headers: NodeJS.Dict<string | string[]> }>(
    (resolve, reject) => {
      const request = httpRequest({ port: server.port, path, headers, method }, async (response) => {
        resolve({ status: response.statusCode!, body: await text(response), headers: response.headers })
      })
      request.on('error', reject)
      request.end()
    },
  )
}

const bundle = '/bundles/b.raucb'

test('files come whole, with a strong validator', async () => {
  const { status, body, headers } = await ask(bundle)
  expect([status, body]).toEqual([200, '0123456789'])
  expect(headers).toMatchObject({ 'content-length': '10', 'accept-ranges': 'bytes' })
  expect(headers.etag).toMatch(/^"[0-9a-f]{32}"$/)
  expect(await ask('/empty')).toMatchObject({ status: 200, body: '' })
})

test('a channel is never taken from a cache without asking', async () => {
  expect((await ask('/stable.channel')).headers['cache-control']).toBe('no-cache')
})

test.each<[string, number, string, string | undefined]>([
  ['bytes=4-', 206, '456789', 'bytes 4-9/10'],
  ['bytes=4-5', 206, '45', 'bytes 4-5/10'],
  ['bytes=9-99', 206, '9', 'bytes 9-9/10'],
  ['bytes=10-', 416, '', 'bytes */10'],
  ['bytes=5-4', 416, '', 'bytes */10'],
  ['bytes=-3', 200, '0123456789', undefined],
  ['bytes=0-1,4-5', 200, '0123456789', undefined],
  ['lines=1-', 200, '0123456789', undefined],
])('Range: %s', async (range, status, body, contentRange) => {
  const answer = await ask(bundle, { range })
  expect([answer.status, answer.body, answer.headers['content-range']]).toEqual([status, body, contentRange])
})

test('a rest is given of the same bytes only, and what is known is not sent again', async () => {
  const etag = (await ask(bundle)).headers.etag as string
  expect((await ask(bundle, { range: 'bytes=4-', 'if-range': etag })).status).toBe(206)
  expect((await ask(bundle, { range: 'bytes=4-', 'if-range': '"other"' })).status).toBe(200)
  expect((await ask(bundle, { 'if-none-match': etag })).status).toBe(304)
  await writeFile(join(dir, 'feed/bundles/b.raucb'), '9876543210')
  expect((await ask(bundle, { range: 'bytes=4-', 'if-range': etag })).body).toBe('9876543210')
  await writeFile(join(dir, 'feed/bundles/b.raucb'), '0123456789')
})

test.each([
  '/',
  '/bundles',
  '/bundles/',
  '/../secret',
  '/bundles/../../secret',
  '/%2e%2e/secret',
  '/.publishing',
  '//b',
  '/no',
])('nothing else is handed out: %s', async (path) => {
  expect(await ask(path)).toMatchObject({ status: 404, body: '' })
})

test('files are only read', async () => {
  expect((await ask(bundle, {}, 'PUT')).status).toBe(405)
  const head = await ask(bundle, {}, 'HEAD')
  expect([head.status, head.body, head.headers['content-length']]).toEqual([200, '', '10'])
})

test('a port that is taken is told', async () => {
  await expect(serveFeed({ dir, port: server.port, certificate: undefined })).rejects.toThrow(
    `port ${server.port} can't be listened at: EADDRINUSE`,
  )
})

describe('the certificate', () => {
  test('is its own authority for the names that were given, and is made once', async () => {
    const tools = await (await openTestInputs()).toolTree('tools')
    const options = { dir: join(dir, 'keys/server'), hosts: ['localhost', '127.0.0.1'] }
    const certificate = await openServerCertificate(tools, options)
    const pem = await readFile(certificate.certificatePath, 'utf8')
    await openServerCertificate(tools, { ...options, hosts: ['localhost'] })
    expect(await readFile(certificate.certificatePath, 'utf8')).toBe(pem)

    await using secure = await serveFeed({ dir: join(dir, 'feed'), port: 0, certificate })
    const get = (host: string, ca: string[]) =>
      new Promise<string>((resolve, reject) => {
        const request = httpsRequest(
          { host, port: secure.port, path: bundle, ca, agent: false },
          (response) => resolve(text(response)),
        )
        request.on('error', reject)
        request.end()
      })
    expect(await get('127.0.0.1', [pem])).toBe('0123456789')
    expect(await get('localhost', [pem])).toBe('0123456789')
    await expect(get('127.0.0.1', [])).rejects.toThrow(/self-signed/)

    await openServerCertificate(tools, { ...options, hosts: ['feed.example'] })
    expect(await readFile(certificate.certificatePath, 'utf8')).not.toBe(pem)
    await expect(openServerCertificate(tools, { ...options, hosts: ['a,b'] })).rejects.toThrow('is no name')
  })
})
