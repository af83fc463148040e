import { describe, expect, test } from 'vitest'
import { seeded } from '../channel/test-channels.ts'
import {
  deviceIdPattern,
  FleetProtocolError,
  firstDelayMs,
  firstDelayMsMax,
  fleetLimits,
  heartbeatDelayMs,
  parseFleetSettings,
  parseHeartbeat,
  parseHeartbeatAnswer,
  parseRegisterAnswer,
  parseRegistration,
  renderFleetSettings,
  renderHeartbeat,
  renderHeartbeatAnswer,
  renderKnownHosts,
  renderRegisterAnswer,
  renderRegistration,
  retryDelayMs,
  type TunnelRequest,
  tunnelArguments,
} from './index.ts'

const key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB3cRiC4jhtKpZFCZU2+2dH8DOq1uoQQpSFyvTBfKTRo'
const registration = {
  ...{ mac: '02005e100001', token: 'a'.repeat(43), publicKey: key, hostKey: key, version: '0.1.0' },
}
const tunnel: TunnelRequest = {
  ...{ host: 'fleet.example', port: 22022, user: 'tunnel', hostKey: key, remotePort: 20_001 },
}
const approved = { state: 'approved', heartbeatS: 60, userAuthority: key, tunnel } as const

describe('what one side writes the other reads', () => {
  test('registrations', () => {
    expect(parseRegistration(renderRegistration(registration))).toEqual(registration)
    const answer = { id: '0123456789abcdef', state: 'pending' } as const
    expect(parseRegisterAnswer(renderRegisterAnswer(answer))).toEqual(answer)
  })

  test('heartbeats', () => {
    const heartbeat = { version: '0.1.0', uptimeS: 12, tunnel: 'up', hostKey: key } as const
    expect(parseHeartbeat(renderHeartbeat(heartbeat))).toEqual(heartbeat)
    for (const answer of [
      approved,
      { ...approved, tunnel: undefined },
      { state: 'pending', heartbeatS: 10 },
      { state: 'revoked', heartbeatS: 3600 },
    ] as const) {
      expect(parseHeartbeatAnswer(renderHeartbeatAnswer(answer))).toEqual(answer)
    }
  })
})

describe('an answer that is refused:', () => {
  const answer = (changes: object) =>
    JSON.stringify({ ...JSON.parse(renderHeartbeatAnswer(approved)), ...changes })
  const withTunnel = (changes: object) =>
    answer({ tunnel: { ...JSON.parse(renderHeartbeatAnswer(approved)).tunnel, ...changes } })
  test.each<[string, string, string]>([
    ['no JSON', '<html>', 'the answer is not JSON'],
    ['a list', '[]', 'the answer is not a JSON object'],
    ['another state', answer({ state: 'root' }), '"state" is none of pending, approved, revoked'],
    ['a heart that races', answer({ heartbeat_s: 0 }), '"heartbeat_s" is no whole number from 10 to 3600'],
    ['a heart that stops', answer({ heartbeat_s: 1e9 }), '"heartbeat_s" is no whole number from 10 to 3600'],
    ['no authority', answer({ user_ca: null }), '"user_ca" is missing, or not what it has to be'],
    [
      'an authority with options',
      answer({ user_ca: `cert-authority ${key}` }),
      '"user_ca" is missing, or not what it has to be',
    ],
    [
      'two authorities',
      answer({ user_ca: `${key}\n${key}` }),
      '"user_ca" is missing, or not what it has to be',
    ],
    [
      'a host that is an option',
      withTunnel({ host: '-oProxyCommand=reboot' }),
      '"host" is missing, or not what it has to be',
    ],
    [
      'a host with a line break',
      withTunnel({ host: 'a\n-oX' }),
      '"host" is missing, or not what it has to be',
    ],
    [
      'an account that is an option',
      withTunnel({ user: '-l' }),
      '"user" is missing, or not what it has to be',
    ],
    [
      'a host key of two lines',
      withTunnel({ host_key: `${key}\n* ${key}` }),
      '"host_key" is missing, or not what it has to be',
    ],
    [
      'a port below all',
      withTunnel({ remote_port: 22 }),
      '"remote_port" is no whole number from 1024 to 65535',
    ],
    ['a port that is text', withTunnel({ port: '22; reboot' }), '"port" is no whole number from 1 to 65535'],
    ['a tunnel that is text', answer({ tunnel: 'x' }), '"tunnel" is not a JSON object'],
  ])('%s', (_, text, message) => {
    expect(() => parseHeartbeatAnswer(text)).toThrow(new FleetProtocolError(message))
  })

  test('an id that would lead elsewhere', () => {
    for (const id of ['../../etc', '', 'a b', 'a'.repeat(65), 'x@y', '12345678\n']) {
      expect(() => parseRegisterAnswer(JSON.stringify({ id, state: 'pending' }))).toThrow(FleetProtocolError)
    }
  })
})

test('thousands of answers that mean no good lead to the refusal that is declared, or to what a good one could say', () => {
  const random = seeded(20_261_127)
  const pick = <T>(list: readonly T[]) => list[Math.floor(random() * list.length)]!
  const good = renderHeartbeatAnswer(approved)
  const values: unknown[] = [
    ...[null, true, -1, 0, 1.5, 1e308, '', ' ', '-oProxyCommand=x', 'a\0b', '\u202e', '../..', '%n', '$(id)'],
    ...[[], {}, { __proto__: 1 }, 'x'.repeat(5000), 'fleet.example', 22, key, `${key} x`, `${key}\n${key}`],
  ]
  let accepted = 0
  for (let round = 0; round < 5000; round++) {
    let text = good
    if (random() < 0.5) {
      const value = JSON.parse(good)
      const into = random() < 0.5 ? value : value.tunnel
      into[pick([...Object.keys(into), '__proto__', 'constructor'])] = pick(values)
      text = JSON.stringify(value)
    } else {
      for (let changes = 0; changes < 3; changes++) {
        const at = Math.floor(random() * text.length)
        const kept = random() < 0.5 ? at + 1 : at
        text = text.slice(0, at) + String.fromCharCode(Math.floor(random() * 300)) + text.slice(kept)
      }
    }
    try {
      const answer = parseHeartbeatAnswer(text)
      accepted += 1
      expect(answer.heartbeatS).toBeGreaterThanOrEqual(fleetLimits.heartbeatS.min)
      expect(answer.heartbeatS).toBeLessThanOrEqual(fleetLimits.heartbeatS.max)
      if (answer.state !== 'approved' || answer.tunnel === undefined) continue
      const words = tunnelArguments(answer.tunnel, { key: 'k', knownHosts: 'h' })
      expect(words).toHaveLength(tunnelArguments(tunnel, { key: 'k', knownHosts: 'h' }).length)
      expect(words.at(-1)).not.toMatch(/^-|[^a-z0-9.-]/)
      expect(renderKnownHosts(answer.tunnel).split('\n')).toHaveLength(2)
      expect(answer.userAuthority).not.toMatch(/[\n\r]/)
    } catch (error) {
      expect(error).toBeInstanceOf(FleetProtocolError)
      expect((error as Error).message).not.toContain('\n')
    }
  }
  // Unknown keys and changes inside a key's bits are taken.
  expect(accepted).toBeGreaterThan(50)
  expect(accepted).toBeLessThan(2500)
})

describe('the pace of a fleet', () => {
  const random = seeded(7)
  test('the first question is spread over half a minute', () => {
    const delays = Array.from({ length: 1000 }, () => firstDelayMs('registered', random))
    expect(Math.max(...delays)).toBeLessThan(firstDelayMsMax.registered)
    // No tenth of the time has twice its share.
    for (let part = 0; part < 10; part++) {
      const inside = delays.filter((delay) => Math.floor(delay / (firstDelayMsMax.registered / 10)) === part)
      expect(inside.length).toBeLessThan(200)
    }
  })

  test('a heartbeat is off by a fifth at most', () => {
    for (let round = 0; round < 1000; round++) {
      const delay = heartbeatDelayMs(100, random)
      expect(delay).toBeGreaterThanOrEqual(80_000)
      expect(delay).toBeLessThanOrEqual(120_000)
    }
  })

  test('after failures it waits longer each time, up to an hour, in the upper half', () => {
    const longest = [1, 2, 3, 4, 9, 100, 1e9].map((failures) => retryDelayMs(failures, () => 0.999999))
    expect(longest.map((ms) => Math.ceil(ms / 1000))).toEqual([15, 30, 60, 120, 3600, 3600, 3600])
    expect(retryDelayMs(3, () => 0)).toBe(30_000)
  })

  test('a server that was away for an hour is not met by ten thousand devices at once', () => {
    const arrivals = Array.from({ length: 10_000 }, () => {
      let now = firstDelayMs('registered', random)
      for (let failures = 1; now < 3_600_000; failures++) now += retryDelayMs(failures, random)
      return Math.floor((now - 3_600_000) / 1000)
    })
    const perSecond = new Map<number, number>()
    for (const second of arrivals) perSecond.set(second, (perSecond.get(second) ?? 0) + 1)
    expect(Math.max(...perSecond.values())).toBeLessThan(40)
  })
})

describe('fleet.json', () => {
  const pem = '-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n'
  test('is read as it is written, without the slash at the end', () => {
    const text = renderFleetSettings({ serverUrl: 'https://fleet.example/x/', authority: pem })
    expect(parseFleetSettings(text)).toEqual({ serverUrl: 'https://fleet.example/x', authority: pem })
    expect(parseFleetSettings('{"server_url":"https://f.example"}')).toEqual({
      serverUrl: 'https://f.example',
      authority: undefined,
    })
  })

  test.each<[string, unknown, string]>([
    ['nothing', {}, 'it has no "server_url"'],
    ['http', { server_url: 'http://f.example' }, 'is no https URL'],
    ['credentials', { server_url: 'https://a:b@f.example' }, 'is no https URL'],
    ['a question', { server_url: 'https://f.example/?x' }, 'is no https URL'],
    [
      'a typing error',
      { server_url: 'https://f.example', autority: pem },
      'it has an unknown key, "autority"',
    ],
    [
      'a private key',
      { server_url: 'https://f.example', authority: `${pem}-----BEGIN PRIVATE KEY-----` },
      '"authority" holds no certificate',
    ],
  ])('%s is refused', (_, value, message) => {
    expect(() => parseFleetSettings(JSON.stringify(value))).toThrow(message)
  })
})

test('patterns match whole texts only', () => {
  expect(deviceIdPattern.test('abcdefgh\n')).toBe(false)
})

test('ssh is told everything, and forwards one port to itself', () => {
  const words = tunnelArguments(tunnel, { key: '/k', knownHosts: '/h' })
  expect(words.slice(-8)).toEqual([
    ...['-R', '127.0.0.1:20001:127.0.0.1:22', '-p', '22022', '-l', 'tunnel', '--', 'fleet.example'],
  ])
  expect(words).toContain('StrictHostKeyChecking=yes')
  expect(words).toContain('ProxyCommand=none')
})
