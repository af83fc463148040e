/** The whole of the device's side against real TLS servers that behave, fail, and mean no good. `ssh` is a program that waits. */
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import {
  type HeartbeatAnswer,
  parseHeartbeat,
  parseRegistration,
  renderFleetSettings,
  renderHeartbeatAnswer,
} from '@atomixos/config'
import { seeded } from '@atomixos/config/channel/test-channels.ts'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { authority, startServer, type TestServer } from '../upgrade/test-server.ts'
import type { AgentStatus } from './agent.ts'
import { runAgent } from './run-agent.ts'

const hostKey = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB3cRiC4jhtKpZFCZU2+2dH8DOq1uoQQpSFyvTBfKTRo'
const userAuthority = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB3cRiC4jhtKpZFCZU2+2dH8DOq1uoQQpSFyvTBfKTRp'
const id = '0123456789abcdef'
const tunnel = { host: '127.0.0.1', port: 22022, user: 'tunnel', hostKey, remotePort: 20_001 }
const pending = { state: 'pending', heartbeatS: 10 } as const
const approved = { state: 'approved', heartbeatS: 10, userAuthority, tunnel: undefined } as const

let root: string
const path = (name: string) => join(root, name)
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'atomixos-agent-'))
  await mkdir(path('state'))
  await writeFile(path('address'), '02:00:5e:10:00:01\n')
  // Makes a pair of files, as ssh-keygen does; with another key each time.
  await writeFile(
    path('keygen.cjs'),
    `const { randomBytes } = require('node:crypto'), { writeFileSync } = require('node:fs')
const file = process.argv.at(-1), head = Buffer.from('AAAAC3NzaC1lZDI1NTE5AAAAIA==', 'base64').subarray(0, 19)
writeFileSync(file, 'private', { mode: 0o600 })
writeFileSync(file + '.pub', 'ssh-ed25519 ' + Buffer.concat([head, randomBytes(32)]).toString('base64') + '\\n')`,
  )
  await writeFile(
    path('ssh.cjs'),
    `require('node:fs').writeFileSync(${JSON.stringify(path('ssh-arguments'))}, JSON.stringify(process.argv.slice(2)))
setInterval(() => {}, 1000)`,
  )
})
afterEach(() => rm(root, { recursive: true, force: true }))

interface Running extends AsyncDisposable {
  readonly said: string[]
  status(): Promise<AgentStatus | undefined>
  /** Rejects when the agent gave up. */
  readonly ended: Promise<void>
}

/** A second of waiting takes ten milliseconds. */
function start(address: string, ssh = 'ssh.cjs', msPerS = 10): Running {
  const stop = new AbortController()
  const said: string[] = []
  const ended = runAgent({
    settings: renderFleetSettings({ serverUrl: address, authority: authority.pem }),
    ...{ hostKey: `${hostKey} root@device\n`, version: '0.1.0', addressPath: path('address') },
    folder: path('state'),
    runtime: {
      userAuthority: path('run/user-ca.pub'),
      deviceId: path('run/device-id'),
      status: path('run/status.json'),
    },
    programs: {
      ssh: [process.execPath, path(ssh)],
      sshKeygen: [process.execPath, path('keygen.cjs')],
    },
    say: (line) => said.push(line),
    random: () => 0,
    signal: stop.signal,
    msPerS,
  })
  return {
    said,
    ended,
    async status() {
      const found = await readFile(path('run/status.json'), 'utf8').catch(() => undefined)
      return found === undefined ? undefined : (JSON.parse(found) as AgentStatus)
    },
    async [Symbol.asyncDispose]() {
      stop.abort()
      await ended.catch(() => {})
    },
  }
}

/** A server that registers everybody, and answers heartbeats as it is told. */
async function fleetServer(
  answer: () => HeartbeatAnswer | ((response: ServerResponse) => void),
): Promise<TestServer & { readonly seen: { url: string; token: string | undefined; body: string }[] }> {
  const seen: { url: string; token: string | undefined; body: string }[] = []
  const server = await startServer((request: IncomingMessage, response: ServerResponse) => {
    void text(request).then((body) => {
      seen.push({ url: request.url!, token: request.headers.authorization, body })
      if (request.url?.endsWith('/register')) return response.end(JSON.stringify({ id, state: 'pending' }))
      const given = answer()
      if (typeof given === 'function') given(response)
      else response.end(renderHeartbeatAnswer(given))
    })
  })
  return { ...server, seen }
}

const trusted = () => existsSync(path('run/user-ca.pub'))
const eventually = (what: () => unknown) => expect.poll(what, { timeout: 15_000, interval: 20 })

describe('a server that behaves', () => {
  test('sees a device register once, and come again with its token', async () => {
    await using server = await fleetServer(() => pending)
    {
      await using agent = start(server.address)
      await eventually(agent.status).toMatchObject({ id, state: 'pending', tunnel: 'down' })
      await eventually(() => server.seen.length).toBeGreaterThan(4)
    }
    await using agent = start(server.address)
    const before = server.seen.length
    await eventually(() => server.seen.length).toBeGreaterThan(before + 1)
    expect(agent.said).toEqual(['this device is pending'])
    const [first, ...rest] = server.seen
    const registration = parseRegistration(first!.body)
    expect(registration).toMatchObject({ mac: '02005e100001', hostKey, version: '0.1.0' })
    for (const { url, token, body } of rest) {
      expect({ url, token }).toEqual({
        url: `/api/v1/devices/${id}/heartbeat`,
        token: `Bearer ${registration.token}`,
      })
      expect(parseHeartbeat(body)).toMatchObject({ tunnel: 'down' })
    }
    expect(trusted()).toBe(false)
  })

  test('is believed while it approves, and no longer: trust and tunnel come and go with its word', async () => {
    let answer: HeartbeatAnswer = pending
    await using server = await fleetServer(() => answer)
    await using agent = start(server.address)
    await eventually(agent.status).toMatchObject({ state: 'pending' })
    answer = approved
    await eventually(trusted).toBe(true)
    expect(await readFile(path('run/user-ca.pub'), 'utf8')).toBe(`${userAuthority}\n`)
    expect(await readFile(path('run/device-id'), 'utf8')).toBe(`${id}\n`)
    answer = { ...approved, tunnel }
    await eventually(() => existsSync(path('ssh-arguments'))).toBe(true)
    await eventually(agent.status).toMatchObject({ tunnel: 'up' })
    expect(JSON.parse(await readFile(path('ssh-arguments'), 'utf8'))).toContain(
      '127.0.0.1:20001:127.0.0.1:22',
    )
    answer = { state: 'revoked', heartbeatS: 10 }
    await eventually(agent.status).toMatchObject({ state: 'revoked', tunnel: 'down' })
    expect(trusted()).toBe(false)
    expect(existsSync(path('run/device-id'))).toBe(false)
  })

  test('that is gone for a while is asked again, told of once, and keeps its tunnel', async () => {
    let away = false
    await using server = await fleetServer(() =>
      away ? (response) => response.writeHead(503).end() : { ...approved, tunnel },
    )
    await using agent = start(server.address)
    await eventually(agent.status).toMatchObject({ tunnel: 'up' })
    away = true
    await eventually(agent.status).toMatchObject({ problem: 'the fleet server answers 503', tunnel: 'up' })
    const asked = server.seen.length
    await eventually(() => server.seen.length).toBeGreaterThan(asked + 2)
    away = false
    await eventually(async () => (await agent.status())?.problem).toBe(undefined)
    expect(agent.said.filter((line) => line.includes('503'))).toHaveLength(1)
  })

  test('that has lost its memory is asked to let the device in again, with the same key and token', async () => {
    let known = true
    await using server = await fleetServer(() =>
      known ? approved : (response) => response.writeHead(401).end(),
    )
    await using agent = start(server.address)
    await eventually(trusted).toBe(true)
    known = false
    await eventually(trusted).toBe(false)
    const registrations = () => server.seen.filter(({ url }) => url.endsWith('/register'))
    await eventually(() => registrations().length).toBeGreaterThan(1)
    expect(registrations()[1]!.body).toBe(registrations()[0]!.body)
    expect(agent.said).toContain('the fleet server does not know this device any more')
  })

  test('of another address is shown another key and token', async () => {
    await using one = await fleetServer(() => pending)
    {
      await using agent = start(one.address)
      await eventually(agent.status).toMatchObject({ state: 'pending' })
    }
    await using other = await fleetServer(() => pending)
    await using _ = start(other.address)
    await eventually(() => other.seen.length).toBeGreaterThan(0)
    const [a, b] = [one, other].map(({ seen }) => parseRegistration(seen[0]!.body))
    expect(a!.token).not.toBe(b!.token)
    expect(a!.publicKey).not.toBe(b!.publicKey)
  })

  test('leaves nothing trusted when the agent stops', async () => {
    await using server = await fleetServer(() => ({ ...approved, tunnel }))
    {
      await using agent = start(server.address)
      await eventually(agent.status).toMatchObject({ tunnel: 'up' })
      expect(trusted()).toBe(true)
    }
    expect(trusted()).toBe(false)
  })
})

describe('a server that means no good', () => {
  test('cannot bring in another authority once it has named one', async () => {
    let answer: HeartbeatAnswer = { ...approved, tunnel }
    await using server = await fleetServer(() => answer)
    await using agent = start(server.address)
    await eventually(agent.status).toMatchObject({ tunnel: 'up' })
    answer = { ...approved, userAuthority: hostKey, tunnel }
    await eventually(trusted).toBe(false)
    await eventually(agent.status).toMatchObject({
      tunnel: 'down',
      problem: expect.stringContaining('names another authority'),
    })
  })

  test.each<[string, (response: ServerResponse) => void, string]>([
    [
      'talks for ever',
      (response) => {
        const timer = setInterval(() => response.write('x'.repeat(4096)), 1)
        response.once('close', () => clearInterval(timer))
      },
      'the answer is larger than 16 KiB',
    ],
    [
      'sends half an answer',
      (response) => {
        response.writeHead(200, { 'content-length': 100 })
        response.write('{')
        setTimeout(() => response.destroy(), 20)
      },
      'the fleet server cut the connection (ECONNRESET)',
    ],
    [
      'sends elsewhere',
      (response) => response.writeHead(302, { location: 'https://127.0.0.1:1/' }).end(),
      'the fleet server answers 302',
    ],
    [
      'sends a page',
      (response) => response.end('<html>'),
      "the fleet server's answer is refused: the answer is not JSON",
    ],
    [
      'moves the cursor',
      (response) => response.end(JSON.stringify({ state: '\u001b[2J' })),
      'the fleet server\'s answer is refused: "state" is none of pending, approved, revoked',
    ],
    [
      'is no HTTP',
      (response) => response.socket!.end('SSH-2.0-x\r\n'),
      'what the fleet server sends is not HTTP (HPE_INVALID_CONSTANT)',
    ],
  ])('and %s changes nothing', async (_, answer, problem) => {
    await using server = await fleetServer(() => answer)
    await using agent = start(server.address)
    await eventually(async () => (await agent.status())?.problem).toBe(problem)
    expect(trusted()).toBe(false)
    expect(existsSync(path('ssh-arguments'))).toBe(false)
    expect(JSON.parse(await readFile(path('state/enrolment.json'), 'utf8'))).not.toHaveProperty(
      'user_authority',
    )
  })

  test('and answers hundreds of times what it likes, never stops the agent', async () => {
    const random = seeded(1127)
    const good = renderHeartbeatAnswer({ ...approved, tunnel: { ...tunnel, host: '127.0.0.1' } })
    let answers = 0
    await using server = await fleetServer(() => (response) => {
      answers += 1
      const at = Math.floor(random() * good.length)
      const bytes = Buffer.from(good)
      bytes[at] = Math.floor(random() * 256)
      if (random() < 0.1) return response.destroy()
      response.writeHead(random() < 0.1 ? 500 : 200).end(random() < 0.2 ? bytes.subarray(0, at) : bytes)
    })
    // The waits grow, since it fails; seconds are short here.
    await using agent = start(server.address, 'ssh.cjs', 0.01)
    let ended = false
    agent.ended.finally(() => {
      ended = true
    })
    await expect.poll(() => answers, { timeout: 40_000, interval: 50 }).toBeGreaterThan(100)
    expect(ended).toBe(false)
    for (const line of agent.said) expect(line).not.toMatch(/[\p{Cc}]/u)
  })
})

test('a tunnel that ends at once is not started again before the server was asked', async () => {
  await writeFile(
    path('ssh-fails.cjs'),
    `require('node:fs').appendFileSync(${JSON.stringify(path('starts'))}, 'x')
console.error('Permission denied\\u001b[2J (publickey).')
process.exit(255)`,
  )
  await using server = await fleetServer(() => ({ ...approved, tunnel }))
  await using agent = start(server.address, 'ssh-fails.cjs')
  await eventually(
    async () => (await readFile(path('starts'), 'utf8').catch(() => '')).length,
  ).toBeGreaterThan(2)
  const starts = (await readFile(path('starts'), 'utf8')).length
  expect(server.seen.length).toBeGreaterThanOrEqual(starts)
  expect(agent.said).toContain('the tunnel ended: Permission denied [2J (publickey).')
})

test('state that a power cut has spoilt is made anew', async () => {
  await using server = await fleetServer(() => pending)
  await writeFile(path('state/enrolment.json'), '{"server_url": "http')
  await writeFile(path('state/tunnel_key.pub'), '')
  await using agent = start(server.address)
  await eventually(agent.status).toMatchObject({ state: 'pending' })
})
