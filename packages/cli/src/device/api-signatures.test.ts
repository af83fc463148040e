import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { apiRoutes, openApiDocument, signatureNamespace, signedText } from '@atomixos/config/api/index.ts'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { configOf, type DeviceProcess, makeKey, openSshPrograms, run, startDevice } from './test-api.ts'

/**
 * Everything that needs a signature, with the ssh-keygen that devices have, over HTTP. Every answer is compared with the
 * OpenAPI document.
 */

let dir: string
let bin: string
let alice: string
let device: DeviceProcess
let config: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sign-'))
  bin = await openSshPrograms(dir)
  alice = await makeKey(bin, dir, 'alice')
  const bob = await makeKey(bin, dir, 'bob')
  await makeKey(bin, dir, 'mallory')
  config = `${configOf(alice)}Container.Environment = "A=1" # kept\n[users.bob]\nssh_key = "${bob}"\n`
  device = await startDevice({ folder: join(dir, 'device'), bin })
  const first = await send('POST', '/api/config', { body: config, plain: true })
  expect(first.status).toBe(202)
  await ended(first)
})
afterAll(async () => {
  await device?.[Symbol.asyncDispose]()
  await rm(dir, { recursive: true, force: true })
})
beforeEach(() => device.course('succeed'))

const ajv = new Ajv2020({ strict: false })
const openApi = openApiDocument('1.2.3') as {
  paths: Record<
    string,
    Record<string, { responses: Record<string, { content?: Record<string, { schema?: object }> }> }>
  >
  components: object
}
ajv.addSchema({ $id: 'urn:atomixos:api', components: openApi.components })

interface Answer {
  readonly status: number
  readonly json: Record<string, unknown>
  readonly text: string
}

interface Sent {
  readonly body?: string
  /** Without a signature. */
  readonly plain?: boolean
  readonly key?: string
  readonly namespace?: string
  /** What is signed in place of what is sent. */
  readonly signed?: Partial<{ nonce: string; path: string; body: string }>
  readonly nonce?: string
  readonly change?: (signature: string) => string
}

async function nonce(): Promise<string> {
  return String((await send('GET', '/api/nonce', { plain: true })).json['nonce'])
}

async function sign(text: string, { key = 'alice', namespace = signatureNamespace }: Sent): Promise<string> {
  const signed = await run([join(bin, 'ssh-keygen'), '-Y', 'sign', '-n', namespace, '-f', join(dir, key)], {
    input: text,
  })
  expect(signed.stderr).toContain('Signing data on standard input')
  return Buffer.from(signed.stdout).toString('base64')
}

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

async function send(method: string, path: string, sent: Sent = {}): Promise<Answer> {
  const { body, plain, signed = {}, change = (signature) => signature } = sent
  const headers: Record<string, string> = {}
  if (!plain) {
    const word = sent.nonce ?? (await nonce())
    const text = signedText({
      nonce: signed.nonce ?? word,
      path: signed.path ?? path,
      bodySha256: sha256(signed.body ?? body ?? ''),
    })
    headers['X-AtomixOS-Nonce'] = word
    headers['X-AtomixOS-Signature'] = change(await sign(text, sent))
  }
  if (body !== undefined)
    headers['Content-Type'] = /^[[{"]/.test(body) ? 'application/json' : 'application/toml'
  const response = await fetch(`http://127.0.0.1:${device.port}${path}`, {
    method,
    headers,
    ...(body !== undefined && { body }),
  })
  const text = await response.text()
  const isJson = response.headers.get('content-type') === 'application/json'
  const answer = { status: response.status, text, json: isJson ? JSON.parse(text) : {} }
  expectDocumented(method, path, answer)
  return answer
}

/** The answer is one that the document has, and of its shape. */
function expectDocumented(method: string, path: string, { status, json }: Answer): void {
  const bare = path.split('?')[0]!
  const name = Object.keys(openApi.paths).find((pattern) =>
    new RegExp(`^${pattern.replace(/\{\w+\}/g, '[^/]+')}$`).test(bare),
  )
  const operation = name === undefined ? undefined : openApi.paths[name]![method.toLowerCase()]
  if (operation === undefined) return
  const response = operation.responses[String(status)]
  expect(response, `${method} ${name} has no answer ${status} in the document`).toBeDefined()
  const schema = response!.content?.['application/json']?.schema as { $ref: string } | undefined
  if (schema === undefined) return
  const valid = ajv.validate({ $ref: `urn:atomixos:api${schema.$ref}` }, json)
  expect(valid, `${method} ${name} ${status}: ${ajv.errorsText()} ${JSON.stringify(json)}`).toBe(true)
}

async function ended({ json }: Answer): Promise<Record<string, unknown>> {
  for (;;) {
    const job = (await send('GET', String(json['job_url']), { plain: true })).json
    if (!['queued', 'running'].includes(String(job['state']))) return job
    await pause(10)
  }
}

async function applied(answer: Answer): Promise<string> {
  expect([answer.status, answer.json['problems']]).toEqual([202, undefined])
  expect((await ended(answer))['state']).toBe('succeeded')
  return (await send('GET', '/api/config/export')).text
}

test('the document is served as it is made, every schema in it is one, and every endpoint is in it', async () => {
  const served = (await send('GET', '/api/openapi.json', { plain: true })).json
  expect(served).toEqual(JSON.parse(JSON.stringify(openApi)))
  for (const { path, method } of apiRoutes) expect(openApi.paths[path]).toHaveProperty(method.toLowerCase())
  const { schemas } = openApi.components as { schemas: Record<string, object> }
  for (const name of Object.keys(schemas))
    ajv.compile({ $ref: `urn:atomixos:api#/components/schemas/${name}` })
  const operations = Object.values(openApi.paths).flatMap(
    (path) => Object.values(path) as { operationId?: string }[],
  )
  expect(new Set(operations.map(({ operationId }) => operationId)).size).toBe(operations.length)
})

describe('who has an administrator’s key', () => {
  test('gets the configuration, as it was written', async () => {
    const { status, text } = await send('GET', '/api/config/export')
    expect([status, text]).toEqual([200, config])
  })

  test('has files judged, with every problem', async () => {
    expect((await send('POST', '/api/validate', { body: config })).json).toEqual({
      valid: true,
      problems: [],
      warnings: [],
    })
    const { status, json } = await send('POST', '/api/validate', { body: 'version = 2\n' })
    expect([status, json['valid']]).toEqual([200, false])
    expect(json['problems']).toContainEqual(expect.objectContaining({ path: 'version', line: 1, column: 1 }))
    expect((await send('POST', '/api/validate', { body: 'version = ' })).json['valid']).toBe(false)
  })

  test('sees what the device does, and what has happened to it', async () => {
    const status = (await send('GET', '/api/status')).json
    expect(status).toMatchObject({ provisioned: true, job: null })
    const event = {
      seq: 1,
      time: '2026-01-01T00:00:00.000Z',
      bootId: 'x',
      slot: 'A',
      event: 'boot',
      version: '1.2.3',
    }
    await writeFile(join(dir, 'device/events.jsonl'), `${JSON.stringify(event)}\n`)
    const { bootId: _, ...told } = event
    expect((await send('GET', '/api/events')).json).toEqual({ events: [told] })
  })

  test('applies a whole configuration', async () => {
    const other = config.replace('A=1', 'A=2')
    expect(await applied(await send('POST', '/api/config', { body: other }))).toBe(other)
    expect(await applied(await send('POST', '/api/config?keep_files=true', { body: config }))).toBe(config)
  })

  test('applies one for confirmation', async () => {
    const accepted = await send('POST', '/api/config?confirm=60', { body: config })
    expect((await ended(accepted))['state']).toBe('waiting-for-confirmation')
    const url = String(accepted.json['job_url'])
    expect((await send('GET', '/api/status')).json['job']).toMatchObject({
      state: 'waiting-for-confirmation',
    })
    expect((await send('POST', '/api/config', { body: config })).status).toBe(409)
    expect((await send('POST', `${url}/confirm`, { plain: true })).status).toBe(401)
    expect((await send('POST', `${url}/confirm`)).json['state']).toBe('succeeded')
    expect((await send('POST', `${url}/confirm`)).status).toBe(409)
    expect((await send('POST', `/api/jobs/${'0'.repeat(16)}/confirm`)).status).toBe(404)
  })

  test('changes users', async () => {
    const carol = JSON.stringify({ ssh_key: alice, shell: 'sh' })
    expect(await applied(await send('PUT', '/api/config/users/carol', { body: carol }))).toContain(
      '[users.carol]',
    )
    const without = await applied(await send('DELETE', '/api/config/users/carol'))
    expect(without).not.toContain('carol')
    expect((await send('DELETE', '/api/config/users/carol')).status).toBe(404)
  })

  test('changes containers, their networks and volumes', async () => {
    const put = async (path: string, value: unknown) =>
      applied(await send('PUT', `/api/config/${path}`, { body: JSON.stringify(value) }))
    await put('container-volumes/data', { Volume: { Label: 'a=b' } })
    await put('container-networks/inner', { Network: { Internal: true } })
    const all = await put('containers/more', {
      privileged: false,
      Container: { Image: 'x.example/y:1', Volume: 'data.volume:/d' },
    })
    expect(all).toContain('[containers.container.more.Container]')
    for (const path of ['containers/more', 'container-networks/inner', 'container-volumes/data']) {
      await applied(await send('DELETE', `/api/config/${path}`))
    }
  })

  test('changes the network', async () => {
    const changed = await applied(
      await send('PATCH', '/api/config/network', { body: '{"dns_servers":["192.0.2.53"]}' }),
    )
    expect(changed).toContain('dns_servers = [ "192.0.2.53" ]')
    expect(
      await applied(await send('PATCH', '/api/config/network', { body: '{"dns_servers":null}' })),
    ).not.toContain('dns')
  })

  test.each<[string, string, string, string | undefined, number]>([
    ['the last administrator', 'DELETE', '/api/config/users/alice', undefined, 422],
    ['the last container', 'DELETE', '/api/config/containers/web', undefined, 422],
    ['a user that is none', 'PUT', '/api/config/users/root', '{}', 422],
    ['a name with a way up', 'PUT', '/api/config/users/..%2f..', '{}', 422],
    ['a name of the language', 'PUT', '/api/config/containers/__proto__', '{"x":1}', 422],
    ['JSON that is none', 'PUT', '/api/config/users/carol', '{"x"', 400],
    ['a list', 'PATCH', '/api/config/network', '[]', 422],
    [
      'the reserved port',
      'PATCH',
      '/api/config/network',
      '{"firewall":{"inbound":{"wan":{"tcp":[8080]}}}}',
      422,
    ],
    ['a file with a problem', 'POST', '/api/config', 'version = 1\n', 422],
    ['no bundle at all', 'POST', '/api/config', '', 422],
  ])('%s: nothing changes', async (_, method, path, body, expected) => {
    const before = await snapshot()
    const { status, json } = await send(method, path, body === undefined ? {} : { body })
    expect([status, json['error']]).toEqual([expected, expect.any(String)])
    if (status === 422) expect(json['problems']).not.toEqual([])
    expect(await snapshot()).toBe(before)
  })

  test('of two changes at once one is taken', async () => {
    device.course('hold')
    await pause(50)
    const both = await Promise.all([
      send('PUT', '/api/config/users/carol', { body: '{}' }),
      send('PATCH', '/api/config/network', { body: '{"dns_servers":["192.0.2.1"]}' }),
    ])
    expect(both.map(({ status }) => status).sort()).toEqual([202, 409])
    device.course('fail')
    const job = await ended(both.find(({ status }) => status === 202)!)
    expect(job).toMatchObject({
      state: 'failed',
      rollback: 'completed',
      error: expect.stringContaining('web did not start'),
    })
    device.course('succeed')
    await pause(50)
  })
})

describe('nothing is done by a signature', () => {
  const change = (sent: Sent) =>
    send('POST', '/api/config', { body: config.replace('A=1', 'A=evil'), ...sent })
  test.each<[string, Sent]>([
    ['that is not there', { plain: true }],
    ['for another path', { signed: { path: '/api/validate' } }],
    ['for another query', { signed: { path: '/api/config?confirm=0' } }],
    ['for another body', { signed: { body: 'version = 1' } }],
    ['with another nonce', { signed: { nonce: 'x' } }],
    ['for another purpose', { namespace: 'file' }],
    ["by a stranger's key", { key: 'mallory' }],
    ['by the key of a user who is no administrator', { key: 'bob' }],
    ['that is cut off', { change: (signature) => signature.slice(0, -60) }],
    ['that is cut off within its base64', { change: (signature) => signature.slice(0, -1) }],
    ['with a bit of it changed', { change: (signature) => changed(signature, 150) }],
    ['of its public key changed', { change: (signature) => changed(signature, 70) }],
    [
      'without its frame',
      {
        change: (signature) =>
          Buffer.from(
            Buffer.from(signature, 'base64')
              .toString()
              .replace(/-----.*-----\n/g, ''),
          ).toString('base64'),
      },
    ],
    ['that is empty', { change: () => '' }],
    ['that is no base64', { change: () => 'a b c !' }],
    [
      'with an option in it',
      { change: () => Buffer.from('-----BEGIN SSH SIGNATURE-----\n-I root\n').toString('base64') },
    ],
    ['with a nonce that was made up', { nonce: 'A'.repeat(54), signed: { nonce: 'A'.repeat(54) } }],
    ['with the nonce of another start', { nonce: 'x', signed: { nonce: 'x' } }],
  ])('%s', async (_, sent) => {
    const before = await snapshot()
    const { status, json } = await change(sent)
    expect([status, json['error']]).toEqual([401, expect.any(String)])
    expect(await snapshot()).toBe(before)
  })

  test('that was used before, also when both come at once', async () => {
    const word = await nonce()
    const both = await Promise.all([1, 2, 3].map(() => send('GET', '/api/config/export', { nonce: word })))
    expect(both.map(({ status }) => status).sort()).toEqual([200, 401, 401])
    expect((await send('GET', '/api/config/export', { nonce: word })).json['error']).toBe(
      'the nonce has been used',
    )
  })

  test('a stranger cannot use up the nonce of an administrator', async () => {
    const word = await nonce()
    expect((await send('GET', '/api/config/export', { nonce: word, key: 'mallory' })).status).toBe(401)
    expect((await send('GET', '/api/config/export', { nonce: word })).status).toBe(200)
  })

  test('who is no administrator any more is out at once', async () => {
    const carol = await makeKey(bin, dir, 'carol', 'ecdsa')
    await applied(
      await send('PUT', '/api/config/users/carol', {
        body: JSON.stringify({ isAdmin: true, ssh_key: carol }),
      }),
    )
    expect((await send('GET', '/api/config/export', { key: 'carol' })).status).toBe(200)
    await applied(await send('DELETE', '/api/config/users/carol', { key: 'carol' }))
    expect((await send('GET', '/api/config/export', { key: 'carol' })).status).toBe(401)
  })

  test('of RSA it is taken like any other, of an administrator', async () => {
    const rsa = await makeKey(bin, dir, 'rsa', 'rsa')
    await applied(
      await send('PUT', '/api/config/users/rsa', { body: JSON.stringify({ isAdmin: true, ssh_key: rsa }) }),
    )
    expect((await send('GET', '/api/config/export', { key: 'rsa' })).status).toBe(200)
    await applied(await send('DELETE', '/api/config/users/rsa'))
  })
})

/** Another character of base64 in this place of the armoured text. */
function changed(signature: string, at: number): string {
  const text = Buffer.from(signature, 'base64').toString()
  const other = text[at] === 'A' ? 'B' : 'A'
  return Buffer.from(text.slice(0, at) + other + text.slice(at + 1)).toString('base64')
}

function snapshot(): Promise<string> {
  return readFile(join(device.configFolder, 'config.toml'), 'utf8')
}
