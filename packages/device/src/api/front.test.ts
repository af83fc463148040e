import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { apiRoutes } from '@atomixos/config/api/index.ts'
import { Random } from '@atomixos/config/network/test-random.ts'
import { leastToml } from '@atomixos/config/operator/test-configs.ts'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { startTestDevice, type TestDevice, type TestDeviceOptions } from './test-device.ts'
import { ask, sendRaw, type TestRequest } from './test-requests.ts'

/** The real front and worker over loopback, by people and programs without a key. */

let folder: string
let devices: TestDevice[]
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'api-'))
  devices = []
})
afterEach(async () => {
  for (const device of devices) await device[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})

async function start(options: Partial<TestDeviceOptions> = {}): Promise<TestDevice> {
  const device = await startTestDevice({ folder, ...options })
  devices.push(device)
  return device
}

const toml = { 'Content-Type': 'application/toml' }
const apply: TestRequest = { method: 'POST', headers: toml, body: leastToml }

async function until(device: TestDevice, jobUrl: unknown, state: string): Promise<Record<string, unknown>> {
  for (;;) {
    const { json } = await ask(device.port, String(jobUrl))
    if (json['state'] === state) return json
    if (json['state'] === 'failed') throw new Error(String(json['error']))
    await pause(10)
  }
}

async function provisioned(options: Partial<TestDeviceOptions> = {}): Promise<TestDevice> {
  const device = await start(options)
  const { json } = await ask(device.port, '/api/config', apply)
  await until(device, json['job_url'], 'succeeded')
  return device
}

describe('before the first configuration', () => {
  test('the API says who it is, and takes a configuration from anybody', async () => {
    const { port, back, configFolder } = await start()
    expect((await ask(port, '/api/health')).json).toEqual({
      ...{ status: 'ok', version: '1.2.3', provisioned: false, claim_code_needed: false, busy: false },
    })
    const accepted = await ask(port, '/api/config', apply)
    expect(accepted.status).toBe(202)
    expect(accepted.json).toEqual({
      job_id: expect.stringMatching(/^[0-9a-f]{16}$/),
      state: 'queued',
      job_url: `/api/jobs/${accepted.json['job_id']}`,
    })
    expect(accepted.headers.location).toBe(accepted.json['job_url'])
    const job = await until(devices[0]!, accepted.json['job_url'], 'succeeded')
    expect(job).toMatchObject({ source: 'api', rollback: null, services: [{ name: 'web', state: 'active' }] })
    expect(await readFile(join(configFolder, 'config.toml'), 'utf8')).toBe(leastToml)
    expect(back.requests[0]).toMatchObject({
      source: 'api',
      keepFiles: false,
      actor: undefined,
      confirmS: 0,
    })
    expect((await ask(port, '/api/health')).json['provisioned']).toBe(true)
  })

  test('all that is wrong is told at once, with its place, and nothing changes', async () => {
    const { port, back } = await start()
    const { status, json } = await ask(port, '/api/config', {
      ...apply,
      body: leastToml.replace('required', 'requierd').replace('privileged = false', 'privileged = 1'),
    })
    expect(status).toBe(422)
    expect(json['error']).toBe('the configuration has 3 problems')
    expect(json['problems']).toContainEqual({
      ...{ path: 'activation.requierd', message: 'there is no such key', hint: 'did you mean "required"?' },
      ...{ line: 6, column: 1 },
    })
    expect(back.requests).toEqual([])
  })

  test('nothing else is open that validates, changes or tells', async () => {
    const { port, back } = await start()
    for (const { method, path, access } of apiRoutes) {
      if (access !== 'signature') continue
      const { status, json } = await ask(
        port,
        path.replace('{name}', 'bob').replace('{job_id}', '0'.repeat(16)),
        { method },
      )
      expect([method, path, status]).toEqual([method, path, 403])
      expect(json['error']).toContain('no configuration yet')
    }
    expect(back.requests).toEqual([])
  })

  test('of two at once one is taken', async () => {
    const device = await start()
    for (let round = 0; round < 5; round += 1) {
      device.back.course = 'hold'
      await rm(device.configFolder, { recursive: true, force: true })
      const answers = await Promise.all([1, 2, 3].map(() => ask(device.port, '/api/config', apply)))
      expect(answers.map(({ status }) => status).sort()).toEqual([202, 409, 409])
      const taken = answers.find(({ status }) => status === 202)!
      const refused = answers.find(({ status }) => status === 409)!
      expect(refused.json['job_url']).toBe(taken.json['job_url'])
      device.back.course = 'succeed'
      await until(device, taken.json['job_url'], 'succeeded')
    }
  })

  test('while a configuration takes the place of another there is no moment for a first one', async () => {
    const device = await start()
    await mkdir(join(folder, 'config-rollback'))
    await writeFile(join(folder, 'config-rollback/config.toml'), leastToml)
    expect((await ask(device.port, '/api/config', apply)).status).toBe(401)
    expect((await ask(device.port, '/')).status).toBe(404)
  })

  test('without /data nothing is taken', async () => {
    const { port, back } = await start()
    await writeFile(join(folder, 'data-unavailable'), 'it is broken')
    expect((await ask(port, '/api/config', apply)).status).toBe(503)
    expect((await ask(port, '/')).status).toBe(503)
    expect(back.requests).toEqual([])
  })

  test('the claim code, where there is one', async () => {
    let now = 1_000_000
    const { port, back } = await start({ claimCode: 'mango-42-river', sinceStartMs: () => now })
    const claim = (code?: string) =>
      ask(port, '/api/config', {
        ...apply,
        headers: { ...toml, ...(code !== undefined && { 'X-AtomixOS-Claim': code }) },
      })
    expect((await ask(port, '/api/health')).json['claim_code_needed']).toBe(true)
    expect((await claim()).status).toBe(403)
    for (let count = 0; count < 5; count += 1) expect((await claim('mango')).status).toBe(403)
    const later = await claim('mango-42-river')
    expect([later.status, later.headers['retry-after']]).toEqual([429, '30'])
    expect(back.requests).toEqual([])
    now += 30_000
    expect((await claim('mango')).status).toBe(403)
    expect((await claim('mango-42-river')).status).toBe(429)
    now += 30_000
    expect((await claim('mango-42-river')).status).toBe(202)
  })

  test('a boot partition that cannot be read lets nobody in', async () => {
    const { port } = await start()
    await rm(join(folder, 'claim-code'))
    expect((await ask(port, '/api/config', apply)).status).toBe(503)
  })
})

describe('with a configuration', () => {
  test('everything but a few words needs a signature', async () => {
    const { port, back } = await provisioned()
    for (const { method, path, access } of apiRoutes) {
      if (access === 'open') continue
      const { status } = await ask(port, path.replace('{name}', 'bob').replace('{job_id}', '0'.repeat(16)), {
        method,
      })
      expect([method, path, status]).toEqual([method, path, 401])
    }
    expect(back.requests).toHaveLength(1)
  })

  test('the boot UI is gone, and says where the API is', async () => {
    const { port } = await provisioned()
    const { status, text } = await ask(port, '/')
    expect(status).toBe(404)
    expect(text).toContain('http://127.0.0.1:8080/api/openapi.json')
    expect((await ask(port, '/apply', { method: 'POST' })).status).toBe(404)
  })

  test('it is served at the address of the LAN only', async () => {
    const { port, configFolder } = await start({ lanAddress: '127.0.0.2' })
    expect((await ask(port, '/api/health')).status).toBe(200)
    await writeFile(join(configFolder, 'config.toml'), leastToml)
    for (const path of ['/', '/api/health', '/api/nonce']) {
      const { status, json } = await ask(port, path)
      expect([path, status]).toEqual([path, 403])
      expect(json['hint']).toBe('ask http://127.0.0.2:8080 from there')
    }
  })
})

describe('HTTP', () => {
  test('headers of every answer', async () => {
    const { port } = await start()
    for (const path of ['/', '/api/health', '/api/nowhere', '/nowhere']) {
      const { headers } = await ask(port, path)
      expect(headers).toMatchObject({
        ...{ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff', 'x-frame-options': 'DENY' },
        'content-security-policy': expect.stringContaining("default-src 'none'"),
      })
      expect(headers).not.toHaveProperty('access-control-allow-origin')
    }
  })

  test.each<[string, string, TestRequest, number, Record<string, string>?]>([
    ['no such path', '/api/nowhere', {}, 404],
    ['a path with more', '/api/health/x', {}, 404],
    ['an empty name', '/api/config/users/', { method: 'PUT' }, 404],
    ['a name that is no UTF-8', '/api/config/users/%ff', { method: 'PUT' }, 404],
    ['another method', '/api/health', { method: 'POST' }, 405, { allow: 'GET, HEAD' }],
    [
      'another method with a name',
      '/api/config/users/bob',
      { method: 'POST' },
      405,
      { allow: 'PUT, DELETE' },
    ],
    ['the UI, otherwise', '/', { method: 'DELETE' }, 405, { allow: 'GET, HEAD' }],
    [
      'what may be asked',
      '/api/config/users/bob',
      { method: 'OPTIONS' },
      204,
      { allow: 'PUT, DELETE, OPTIONS' },
    ],
    ['HEAD', '/api/health', { method: 'HEAD' }, 200, { 'content-length': '93' }],
    [
      'a form where TOML belongs',
      '/api/config',
      { ...apply, headers: { 'Content-Type': 'text/plain' } },
      415,
    ],
    ['a word in the query', '/api/health?x=1', {}, 400],
    ['seconds that are none', '/api/config?confirm=soon', apply, 400],
    ['a word twice', '/api/config?confirm=1&confirm=2', apply, 400],
    ['a body where none belongs', '/api/health', { body: 'x' }, 400],
    [
      'too large, as it says',
      '/api/config',
      { ...apply, headers: { ...toml, 'Content-Length': '33554433' }, body: '' },
      413,
    ],
    ['a host of somebody else', '/api/health', { headers: { Host: 'attacker.example' } }, 421],
    ['an address of somebody else', '/', { headers: { Host: '192.0.2.1:8080' } }, 421],
    ['by name', '/api/health', { headers: { Host: 'AtomixOS.local:8080' } }, 200],
    ['through a tunnel', '/api/health', { headers: { Host: 'localhost:18080' } }, 200],
    [
      'a page of another origin',
      '/api/config',
      { ...apply, headers: { ...toml, Origin: 'http://attacker.example' } },
      403,
    ],
    ['a page of no origin', '/api/config', { ...apply, headers: { ...toml, Origin: 'null' } }, 403],
    ['another site', '/api/config', { ...apply, headers: { ...toml, 'Sec-Fetch-Site': 'cross-site' } }, 403],
    ['another expectation', '/api/config', { ...apply, headers: { ...toml, Expect: 'gold' } }, 417],
  ])('%s', async (_, target, request, status, headers = {}) => {
    const { port, back } = await start()
    const answer = await ask(port, target, request)
    expect([answer.status, answer.json['error']]).toEqual([
      status,
      status >= 400 && target !== '/' && status !== 417 ? expect.any(String) : answer.json['error'],
    ])
    expect(answer.headers).toMatchObject(headers)
    expect(back.requests).toEqual([])
  })

  test('a body in pieces is counted as it comes', async () => {
    const { port } = await start()
    const piece = 'x'.repeat(1024 * 1024)
    const head = 'POST /api/config HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n'
    const answer = await sendRaw(port, head + `100000\r\n${piece}\r\n`.repeat(33))
    expect(answer).toMatch(/^HTTP\/1\.1 413 /)
    expect((await ask(port, '/api/health')).status).toBe(200)
  })

  test.each<[string, string, RegExp]>([
    ['no HTTP', 'hello\r\n\r\n', /^HTTP\/1\.1 400 /],
    ['no host', 'GET /api/health HTTP/1.1\r\n\r\n', /^HTTP\/1\.1 400 /],
    ['an old version, without a host', 'GET /api/health HTTP/1.0\r\n\r\n', /^HTTP\/1\.1 421 /],
    [
      'an address for a path',
      'GET http://x/ HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n',
      /^HTTP\/1\.1 404 /,
    ],
    [
      'huge headers',
      `GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`,
      /^HTTP\/1\.1 431 /,
    ],
    ['a huge path', `GET /api/${'x'.repeat(20_000)} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`, /^HTTP\/1\.1 431 /],
    [
      'two lengths',
      'POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx',
      /^HTTP\/1\.1 400 /,
    ],
    [
      'a length and pieces',
      'POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      /^HTTP\/1\.1 400 /,
    ],
    ['a line that is folded', 'GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: a\r\n b\r\n\r\n', /^HTTP\/1\.1 400 /],
    ['a tunnel', 'CONNECT 192.0.2.1:443 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n', /^$/],
  ])('%s', async (_, bytes, expected) => {
    const { port } = await start()
    expect(await sendRaw(port, bytes)).toMatch(expected)
  })

  test('requests one behind the other are answered in order', async () => {
    const { port } = await start()
    const one = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n${more}\r\n`
    const answers = await sendRaw(
      port,
      one('/api/health') + one('/nowhere') + one('/api/nonce', 'Connection: close\r\n'),
    )
    expect([...answers.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map(([, status]) => status)).toEqual([
      '200',
      '404',
      '200',
    ])
    expect(answers.indexOf('"provisioned"')).toBeLessThan(answers.indexOf('"nonce"'))
  })

  test('what is behind a refused request on the same connection is not taken for a request', async () => {
    const { port, back } = await start()
    const hidden = `POST /api/config HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: ${leastToml.length}\r\n\r\n${leastToml}`
    const outer = `POST /api/nowhere HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: ${hidden.length}\r\n\r\n${hidden}`
    const answers = await sendRaw(port, outer)
    expect([...answers.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map(([, status]) => status)).toEqual(['404'])
    expect(back.requests).toEqual([])
  })

  test('who sends slowly is sent away, and holds up nobody', async () => {
    const { port } = await start({
      limits: { headersTimeoutMs: 400, requestTimeoutMs: 800, checkIntervalMs: 50 },
    })
    const slow = connect(port, '127.0.0.1')
    slow.on('error', () => {})
    const started = Date.now()
    const ended = new Promise((resolve) => slow.once('close', resolve))
    let said = ''
    slow.on('data', (chunk) => {
      said += chunk
    })
    slow.write('GET /api/health HTTP/1.1\r\nHost: 127.0.0.1\r\n')
    const drip = setInterval(() => slow.write('X: x\r\n'), 50)
    expect((await ask(port, '/api/health')).status).toBe(200)
    await ended
    clearInterval(drip)
    expect(said).toMatch(/^HTTP\/1\.1 408 /)
    expect(Date.now() - started).toBeLessThan(20_000)
  })

  test('nobody fills the memory by sending much and slowly', async () => {
    const { port } = await start()
    const head = 'POST /api/config HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 31457280\r\n\r\n'
    const slow = connect(port, '127.0.0.1')
    slow.on('error', () => {})
    slow.write(head)
    await new Promise<void>((resolve) => slow.write('x'.repeat(20 * 1024 * 1024), () => resolve()))
    await pause(200)
    const body = 'x'.repeat(20 * 1024 * 1024)
    const second = await ask(port, '/api/config', { method: 'POST', headers: toml, body })
    expect([second.status, second.headers['retry-after']]).toEqual([503, '5'])
    slow.destroy()
    await pause(200)
    expect((await ask(port, '/api/config', { method: 'POST', headers: toml, body })).status).toBe(422)
  })

  test('a body that never ends is ended', async () => {
    const { port, back } = await start({
      limits: { headersTimeoutMs: 400, requestTimeoutMs: 800, checkIntervalMs: 50 },
    })
    const answer = await sendRaw(
      port,
      'POST /api/config HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\nabc',
    )
    expect(answer).toMatch(/^HTTP\/1\.1 408 /)
    expect(back.requests).toEqual([])
  })

  test('without its worker the front says so', async () => {
    const device = await start()
    await rm(device.workerSocket)
    expect((await ask(device.port, '/api/health')).status).toBe(503)
  })
})

test.each([1, 2, 3])('whatever is sent gets a 4xx, and changes nothing (seed %i)', async (seed) => {
  const { port, back, configFolder } = await provisioned()
  const random = new Random(seed)
  const before = await snapshot(configFolder)
  for (let count = 0; count < 500; count += 1) {
    const { target, request } = hostileRequest(random)
    const { status } = await ask(port, target, request)
    // What only asks, and asks rightly, may be answered.
    const harmless = /^\/api\/(?:health|nonce|openapi\.json)$/.test(target) && status === 200
    if (!harmless && request.method !== 'OPTIONS') {
      expect(status, `${request.method} ${target} ${JSON.stringify(request)}`).toBeGreaterThanOrEqual(400)
    }
    expect(status, `${request.method} ${target} ${JSON.stringify(request)}`).toBeLessThan(500)
  }
  expect(back.requests).toHaveLength(1)
  expect(await snapshot(configFolder)).toEqual(before)
})

const junk = [
  '',
  'x',
  '0',
  '-1',
  '%00',
  '%2e%2e',
  '..',
  '{name}',
  '\u00e9',
  'a'.repeat(300),
  '__proto__',
  '%',
  '\\',
  '"',
  "'",
]

function hostileRequest(random: Random): { target: string; request: TestRequest } {
  const piece = () => encodeURI(random.pick(junk)).replace(/%25/g, random.pick(['%', '%25']))
  const path = random
    .pick(apiRoutes.map((route) => route.path))
    .replace(/\{\w+\}/, () => random.pick(['bob', piece()]))
  const target = random.pick([
    path,
    `${path}?${piece()}=${piece()}`,
    `${path}?confirm=${piece()}`,
    `${path}/${piece()}`,
    `/${piece()}`,
    `/apply/${piece()}`,
    `//${piece()}`,
  ])
  const bytes = Buffer.from(Array.from({ length: random.below(200) }, () => random.below(256)))
  const body = random.pick<string | Uint8Array | undefined>([
    undefined,
    bytes,
    leastToml,
    '{}',
    '{"a":'.repeat(5_000),
    JSON.stringify({ privileged: true, Container: { Image: 'x' } }),
    `[${piece()}]`,
  ])
  const maybe = (name: string, value: () => string) => (random.below(2) === 0 ? { [name]: value() } : {})
  return {
    target,
    request: {
      method: random.pick(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS', 'PROPFIND', 'LINK']),
      headers: {
        ...maybe('Content-Type', () =>
          random.pick([
            'application/json',
            'application/toml',
            'text/plain',
            'multipart/form-data; boundary=x',
            ';',
            'a/b;'.repeat(50),
          ]),
        ),
        ...maybe('X-AtomixOS-Nonce', () =>
          random.pick(['x', 'A'.repeat(54), bytes.toString('base64url'), 'y'.repeat(500)]),
        ),
        ...maybe('X-AtomixOS-Signature', () =>
          random.pick([
            'x',
            bytes.toString('base64'),
            Buffer.from(
              `-----BEGIN SSH SIGNATURE-----\n${bytes.toString('base64')}\n-----END SSH SIGNATURE-----\n`,
            ).toString('base64'),
            'A'.repeat(8_000),
          ]),
        ),
        ...maybe('X-AtomixOS-Claim', () => 'x'.repeat(random.below(400))),
        ...maybe('Cookie', () =>
          random.pick(['atomixos-form=', `atomixos-form=${'0'.repeat(32)}`, ';;;=', 'x'.repeat(100)]),
        ),
        ...maybe('Origin', () => random.pick(['null', 'http://127.0.0.1', 'x'])),
      },
      ...(body !== undefined && { body }),
    },
  }
}

async function snapshot(dir: string): Promise<Record<string, string>> {
  const names = (await readdir(dir, { recursive: true, withFileTypes: true })).filter((entry) =>
    entry.isFile(),
  )
  const files = names.map(async (entry): Promise<[string, string]> => {
    const path = join(entry.parentPath, entry.name)
    return [path, await readFile(path, 'utf8')]
  })
  return Object.fromEntries(await Promise.all(files))
}
