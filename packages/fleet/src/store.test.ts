import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { renderHeartbeat, renderRegistration } from '@atomixos/config'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type ApiRequest, answerRequest } from './answer.ts'
import { fingerprint } from './ssh-keys.ts'
import { pendingLimits, Store } from './store.ts'
import { newToken } from './test-tools.ts'
import { renderAuthorizedKeys } from './tunnel-door.ts'

const hostKey = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB3cRiC4jhtKpZFCZU2+2dH8DOq1uoQQpSFyvTBfKTRo'
const mac = '02005e100001'
const nowMs = Date.UTC(2026, 11, 1)

/** Another key each time: the bits are counted up. */
let keys = 0
function newKey(): string {
  const blob = Buffer.from(hostKey.split(' ')[1]!, 'base64')
  blob.writeUInt32BE(++keys, blob.length - 4)
  return `ssh-ed25519 ${blob.toString('base64')}`
}

let dir: string
let store: Store
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'atomixos-fleet-'))
  store = new Store(dir)
})
afterEach(() => {
  store[Symbol.dispose]()
  rmSync(dir, { recursive: true })
})

function registrationOf(changes: Partial<Parameters<typeof renderRegistration>[0]> = {}) {
  return { mac, token: newToken(), publicKey: newKey(), hostKey, version: '0.1.0', ...changes }
}

function register(registration = registrationOf()) {
  const device = store.register(registration, nowMs)
  if (typeof device === 'string') throw new Error(device)
  return { ...device, token: registration.token }
}

const facts = () => ({
  ...{ store, heartbeatS: 60, userAuthority: hostKey, nowMs },
  tunnel: { host: 'fleet.example', port: 22022, user: 'tunnel', hostKey },
})

function ask(request: Partial<ApiRequest>) {
  const { status, body } = answerRequest(facts(), {
    ...{ method: 'POST', path: '/api/v1/devices/register', authorization: undefined, body: '' },
    ...request,
  })
  return { status, ...JSON.parse(body) }
}

const heartbeat = renderHeartbeat({ version: '0.1.1', uptimeS: 5, tunnel: 'down', hostKey })
const beat = (id: string, token: string | undefined, body = heartbeat) =>
  ask({
    path: `/api/v1/devices/${id}/heartbeat`,
    body,
    authorization: token === undefined ? undefined : `Bearer ${token}`,
  })

describe('a device', () => {
  test('is pending until it is approved, gets a tunnel when one is wanted, and nothing once it is revoked', () => {
    const { id, token } = register()
    expect(beat(id, token)).toEqual({ status: 200, state: 'pending', heartbeat_s: 60 })
    store.approve(id)
    expect(beat(id, token)).toEqual({
      ...{ status: 200, state: 'approved', heartbeat_s: 60, user_ca: hostKey, tunnel: null },
    })
    store.openSession(id, nowMs + 1)
    expect(beat(id, token).tunnel).toEqual({
      ...{ host: 'fleet.example', port: 22022, user: 'tunnel', host_key: hostKey, remote_port: 20000 },
    })
    expect(store.wanted(nowMs).map((device) => device.id)).toEqual([id])
    expect(store.wanted(nowMs + 1)).toEqual([])
    store.revoke(id)
    expect(beat(id, token)).toEqual({ status: 200, state: 'revoked', heartbeat_s: 60 })
    expect(store.wanted(nowMs)).toEqual([])
    expect(() => store.openSession(id, nowMs + 1)).toThrow('is revoked')
  })

  test('that did not hear the answer registers again, as the same one', () => {
    const registration = registrationOf()
    const { id } = register(registration)
    expect(register(registration).id).toBe(id)
    expect(store.list()).toHaveLength(1)
  })

  test("is nobody without its own token: another's, an old one, none", () => {
    const [one, other] = [register(), register(registrationOf({ mac: '02005e100002' }))]
    const nobody = { status: 401, error: 'id and token belong to no device' }
    for (const token of [other.token, newToken(), undefined, '', "' OR 1=1 --"]) {
      expect(beat(one.id, token)).toEqual(nobody)
    }
    expect(beat('0000000000000000', one.token)).toEqual(nobody)
    // What a token was good for ends with the device.
    store.forget(one.id)
    expect(beat(one.id, one.token)).toEqual(nobody)
  })

  test('cannot take the place of another: neither its key nor, without an operator, its MAC', () => {
    const registration = registrationOf()
    const { id } = register(registration)
    store.approve(id)
    expect(store.register({ ...registration, token: newToken() }, nowMs)).toBe('conflict')
    expect(store.register({ ...registration, mac: '02005e100009' }, nowMs)).toBe('conflict')
    const impostor = register()
    expect(impostor).toMatchObject({ state: 'pending', mac })
    expect(() => store.approve(impostor.id)).toThrow(`the device ${id} is approved with the same MAC`)
    expect(() => store.find('02:00:5E:10:00:01')).toThrow('2 devices say that they have the MAC')
    store.revoke(id)
    expect(store.find('02:00:5E:10:00:01').id).toBe(impostor.id)
  })

  test('that is approved keeps the host key that sessions know it by', () => {
    const { id, token } = register()
    store.approve(id)
    const other = renderHeartbeat({ version: '1.0.0', uptimeS: 5, tunnel: 'up', hostKey: newKey() })
    expect(beat(id, token, other).status).toBe(200)
    expect(store.get(id)).toMatchObject({ hostKey, version: '1.0.0', tunnel: 'up' })
  })
})

test('registrations that nobody approves are bounded, and go after a week', () => {
  for (let count = 0; count < pendingLimits.perMac; count++) register()
  expect(store.register(registrationOf(), nowMs)).toBe('too-many')
  register(registrationOf({ mac: '02005e100002' }))
  expect(typeof store.register(registrationOf(), nowMs + pendingLimits.keptMs + 1)).toBe('object')
  expect(store.list()).toHaveLength(1)
})

test('tokens are not in the file, not even while it is written', () => {
  const { token } = register()
  for (const name of ['fleet.db', 'fleet.db-wal']) {
    expect(readFileSync(join(dir, name)).includes(token)).toBe(false)
  }
})

test('all is there after a restart, and while somebody else works on it', () => {
  const { id } = register()
  using other = new Store(dir)
  other.approve(id)
  expect(store.get(id)?.state).toBe('approved')
  store[Symbol.dispose]()
  store = new Store(dir)
  expect(store.get(id)).toMatchObject({ state: 'approved', port: 20_000 })
})

test('what is not in the protocol is refused, and changes nothing', () => {
  const good = renderRegistration(registrationOf())
  expect(ask({ body: 'x' })).toEqual({ status: 400, error: 'the registration is not JSON' })
  for (const change of [
    { mac: '02:00:5e:10:00:01' },
    { mac: 5 },
    { token: 'short' },
    { public_key: 'ssh-rsa AAAA' },
    { public_key: `${hostKey}\nrestrict ${hostKey}` },
    { public_key: `command="x" ${hostKey}` },
    { host_key: null },
    { version: 'a b' },
  ]) {
    const body = JSON.stringify({ ...JSON.parse(good), ...change })
    expect(ask({ body })).toMatchObject({ status: 400, error: expect.stringContaining('"') })
  }
  expect(ask({ method: 'GET' }).status).toBe(405)
  expect(ask({ path: '/api/v1/devices' }).status).toBe(404)
  expect(ask({ path: '/api/v1/devices/../register' }).status).toBe(404)
  expect(store.list()).toEqual([])
})

test('each device has a port of its own, which its key alone may open', () => {
  const devices = ['02005e100001', '02005e100002'].map((address) => {
    const { id } = register(registrationOf({ mac: address }))
    return store.approve(id)
  })
  expect(devices.map(({ port }) => port)).toEqual([20_000, 20_001])
  expect(renderAuthorizedKeys(devices)).toBe(
    devices
      .map(
        ({ port, publicKey, id }) =>
          `restrict,port-forwarding,permitlisten="127.0.0.1:${port}",command="/usr/bin/false" ${publicKey} ${id}\n`,
      )
      .join(''),
  )
  store.revoke(devices[0]!.id)
  const { id } = register(registrationOf({ mac: '02005e100003' }))
  expect(store.approve(id).port).toBe(20_000)
})

test('a key has the fingerprint that OpenSSH shows', () => {
  expect(fingerprint(hostKey)).toMatch(/^SHA256:[A-Za-z0-9+/]{43}$/)
})
