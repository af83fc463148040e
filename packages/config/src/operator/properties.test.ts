import { parse } from 'smol-toml'
import { describe, expect, test } from 'vitest'
import { firewallClosed } from '../network/firewall-settings.ts'
import { parseNetworkFiles } from '../network/network-settings.ts'
import { hostileValue, mutated, Random } from '../network/test-random.ts'
import { toToml } from './canonical.ts'
import { checkConfig } from './check-config.ts'
import { isTable } from './check-schema.ts'
import type { OperatorConfig } from './contract.ts'
import { parseActivationPolicy, parseUsers } from './derived.ts'
import { locate } from './locate.ts'
import { configBytesMax, parseConfig } from './parse-config.ts'
import { renderConfig } from './render-config.ts'
import { leastToml, randomConfig, writeToml } from './test-configs.ts'

describe.each([1, 20_261_127, 0xc0ffee])('seed %i', (seed) => {
  test('valid configurations round-trip, however they are written: 1,000', () => {
    const random = new Random(seed)
    for (let count = 0; count < 1_000; count += 1) {
      const config = randomConfig(random)
      const written = writeToml(random, config)
      const { config: parsed, problems } = parseConfig(written)
      expect(problems).toEqual([])
      expect(parsed).toEqual(config)
      const canonical = toToml(parsed!)
      const again = parseConfig(canonical).config
      expect(again).toEqual(config)
      expect(toToml(again!)).toBe(canonical)
      expect(toToml(shuffled(random, config))).toBe(canonical)
    }
  })

  test('what is rendered is the same for the same configuration, and the parsers of the device take it: 500', () => {
    const random = new Random(seed + 1)
    for (let count = 0; count < 500; count += 1) {
      const config = randomConfig(random)
      const files = renderConfig(config)
      expect([...renderConfig(shuffled(random, config))]).toEqual([...files])
      expectAccepted(files)
    }
  })

  test('every value of a text has its place: 500', () => {
    const random = new Random(seed + 2)
    for (let count = 0; count < 500; count += 1) {
      const config = randomConfig(random)
      const written = writeToml(random, config)
      const places = locate(written)
      expect([...places.keys()].sort()).toEqual(pathsOf(config).sort())
      for (const [key, offset] of places) {
        const last = (JSON.parse(key) as (string | number)[]).at(-1)!
        if (typeof last === 'string') expect(written.slice(offset)).toContain(last)
      }
    }
  })

  test('valid configurations with something changed: 2,000', () => {
    const random = new Random(seed + 3)
    let accepted = 0
    for (let count = 0; count < 2_000; count += 1) {
      const text = mutated(random, randomConfig(random))
      let value: unknown
      try {
        value = JSON.parse(text)
      } catch {
        expectTold(parseConfig(text).problems)
        continue
      }
      if (expectSafe(value)) accepted += 1
    }
    // Some changes are harmless: the test would say nothing if all were refused, or none.
    expect(accepted).toBeGreaterThan(50)
    expect(accepted).toBeLessThan(1_000)
  })

  test('texts with something changed: 2,000', () => {
    const random = new Random(seed + 4)
    for (let count = 0; count < 2_000; count += 1) {
      const text = writeToml(random, randomConfig(random))
      const at = random.below(text.length)
      const inserted = random.pick([
        '"',
        "'",
        '[',
        ']',
        '{',
        '}',
        '\n',
        '\0',
        '\\',
        '=',
        '.',
        ',',
        '#',
        '\ud800',
        '"""',
        '[[',
      ])
      const changed = text.slice(0, at) + inserted + text.slice(at + random.below(3))
      const { config, problems, warnings } = parseConfig(changed)
      if (warnings.length > 0) expectTold(warnings)
      expect(config === undefined).toBe(problems.length > 0)
      if (config === undefined) expectTold(problems)
      else expectAccepted(renderConfig(config))
      // Never throws, and never goes on for ever, whatever the text is.
      locate(changed)
    }
  })

  test('random values and bytes are no configurations: 2,000', () => {
    const random = new Random(seed + 5)
    for (let count = 0; count < 2_000; count += 1) {
      expectSafe(hostileValue(random))
      const bytes = Uint8Array.from(random.list(60, () => random.below(256)))
      const { config, problems } = parseConfig(bytes)
      expect(config).toBeUndefined()
      expectTold(problems)
    }
  })
})

describe('hostile files', () => {
  const deep = 200_000
  test.each<[string, () => string | Uint8Array]>([
    ['lists in lists', () => `a = ${'['.repeat(deep)}`],
    ['closed lists in lists', () => `a = ${'['.repeat(60)}${']'.repeat(60)}`],
    ['inline tables in each other', () => `a = ${'{a='.repeat(deep)}1${'}'.repeat(deep)}`],
    ['a key with many dots', () => `${'a.'.repeat(deep)}a = 1`],
    ['a header with many dots', () => `[${'a.'.repeat(deep)}a]`],
    [
      'many dots below a directive',
      () => `${leastToml}\n[containers.container.web.Container.Label${'.a'.repeat(deep)}]\nb = 1`,
    ],
    ['many dots below network', () => `${leastToml}\n[network${'.dnsmasq'.repeat(deep)}]\nb = 1`],
    [
      'many dots below an interface',
      () => `${leastToml}\n[network.interfaces.eth0.address${'.a'.repeat(deep)}]\nb = 1`,
    ],
    ['many tables', () => Array.from({ length: 50_000 }, (_, index) => `[a${index}]`).join('\n')],
    ['many tables of a list', () => '[[a]]\n'.repeat(100_000)],
    ['many users', () => Array.from({ length: 50_000 }, (_, index) => `[users.a${index}]`).join('\n')],
    ['a long text', () => `a = "${'x'.repeat(2_000_000)}"`],
    ['a long key', () => `${'x'.repeat(2_000_000)} = 1`],
    ['many ports', () => `${leastToml}\n[network.firewall.inbound.wan]\ntcp = [${'0,'.repeat(60_000)}]`],
    ['too long', () => ' '.repeat(configBytesMax + 1)],
    ['no UTF-8', () => new Uint8Array([0x61, 0x0a, 0x62, 0xff, 0xfe])],
    ['UTF-16', () => new Uint8Array([0xff, 0xfe, 0x61, 0x00])],
    ['NUL', () => 'version = 1\0'],
    ['a date', () => 'version = 1979-05-27'],
    ['a date that does not exist', () => 'version = 1979-13-99T99:99:99Z'],
    ['infinite', () => 'version = inf'],
    ['a large number', () => 'version = 99999999999999999999999999'],
    ['a prototype', () => '__proto__.version = 1\nconstructor.prototype.x = 1\n["__proto__"]\ny = 1'],
    ['nothing', () => ''],
  ])('%s', (_, make) => {
    const started = performance.now()
    const { config, problems } = parseConfig(make())
    expect(config).toBeUndefined()
    expectTold(problems)
    // Generous, for a busy machine; anything quadratic takes minutes.
    expect(performance.now() - started).toBeLessThan(10_000)
    expect(({} as Record<string, unknown>)['version']).toBeUndefined()
  })

  test('the byte that is not UTF-8 is found', () => {
    expect(parseConfig(new Uint8Array([0x61, 0x0a, 0x62, 0xc3, 0xa4, 0xff])).problems).toEqual([
      { path: '', message: 'it is not UTF-8', hint: 'save it as UTF-8', line: 2, column: 3 },
    ])
  })
})

/** Nothing that is refused is rendered; nothing that is accepted gives a line that it should not. */
function expectSafe(value: unknown): boolean {
  const { config, problems, warnings } = checkConfig(value)
  expect(config === undefined).toBe(problems.length > 0)
  for (const { message, hint } of [...problems, ...warnings]) {
    expect(`${message}${hint ?? ''}`).toMatch(/^[\x20-\x7e]{1,610}$/)
  }
  if (config === undefined) return false
  expectAccepted(renderConfig(config))
  return true
}

function expectTold(problems: ReturnType<typeof parseConfig>['problems']): void {
  expect(problems.length).toBeGreaterThan(0)
  expect(problems.length).toBeLessThanOrEqual(1_001)
  for (const { path, message, hint } of problems) {
    expect(`${path}${message}${hint ?? ''}`).toMatch(/^[\x20-\x7e]+$/)
    expect(path.length).toBeLessThanOrEqual(1_000)
    expect(message.length).toBeLessThan(400)
  }
}

const quadletLine = /^[A-Za-z][A-Za-z0-9]*=[^\0\r\n]*$/

function expectAccepted(files: ReturnType<typeof renderConfig>): void {
  const text = (path: string) => files.get(path)?.content
  const { problems, settings } = parseNetworkFiles({
    lan: text('lan-settings.json'),
    firewall: text('firewall-inbound.json'),
    host: text('host-network.json'),
    sshOnWan: false,
  })
  expect(problems).toEqual([])
  expect(settings.firewall).not.toBe(firewallClosed)
  const users = parseUsers(text('users.json')!)
  parseActivationPolicy(text('activation-policy.json')!)
  expect(JSON.parse(text('managed-users.json')!)).toEqual(users.map(({ name }) => name))
  expect(text('admin-signers')).toMatch(
    /^(?:[a-z_][a-z0-9_-]* namespaces="atomixos-reapply" [a-z0-9@.-]+ [A-Za-z0-9+/=]+\n)+$/,
  )
  for (const [path, { content }] of files) {
    expect(path).toMatch(
      /^(?:[a-z-]+\.(?:json|toml)|admin-signers|ssh-authorized-keys\/[a-z0-9_-]+|quadlet\/[A-Za-z0-9_-]+\.[a-z]+)$/,
    )
    expect(content.endsWith('\n')).toBe(true)
    if (path.startsWith('ssh-authorized-keys/')) expect(content.split('\n')).toHaveLength(2)
    if (path.startsWith('quadlet/')) expectQuadlet(path, content)
  }
}

function expectQuadlet(path: string, content: string): void {
  const lines = content.slice(0, -1).split('\n')
  const headers = lines.filter((line) => line.startsWith('['))
  expect(headers).toEqual([...new Set(headers)])
  for (const line of lines) {
    if (line === '' || /^\[(?:Unit|Container|Install|Service|Network|Volume|Build)\]$/.test(line)) continue
    expect(line).toMatch(quadletLine)
    expect(line.trimEnd().endsWith('\\')).toBe(false)
  }
  // What systemd runs for it is Quadlet's, and nobody else's.
  const isContainer = path.endsWith('.container')
  expect(headers.includes('[Service]')).toBe(isContainer)
  if (!isContainer) return
  const [, service = ''] = content.split('\n[Service]\n')
  expect(service).toMatch(/^TimeoutStartSec=\d+\n(?:\n\[Install\]\n|$)/)
  expect(lines.filter((line) => line.startsWith('Network='))).toHaveLength(1)
  if (lines.includes('Network=host')) return
  expect(lines).toContain('Network=pasta')
  for (const line of lines) {
    if (line.startsWith('PublishPort=')) expect(line).toMatch(/^PublishPort=127\.0\.0\.1:\d+(?:-\d+)?:/)
    expect(line).not.toMatch(/^(?:PodmanArgs|GlobalArgs|AddDevice|AddCapability|Pod|Rootfs|SeccompProfile)=/)
  }
}

/** The same with keys in another order. */
function shuffled(random: Random, config: OperatorConfig): OperatorConfig {
  return shuffle(config) as OperatorConfig

  function shuffle(value: unknown): unknown {
    if (Array.isArray(value) || !isTable(value)) return value
    const entries = Object.entries(value).map(([key, member]) => ({ key, member, rank: random.next() }))
    entries.sort((a, b) => a.rank - b.rank)
    return Object.fromEntries(entries.map(({ key, member }) => [key, shuffle(member)]))
  }
}

function pathsOf(value: unknown, path: readonly (string | number)[] = []): string[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, member]) => {
    const inner = [...path, Array.isArray(value) ? Number(key) : key]
    return [JSON.stringify(inner), ...pathsOf(member, inner)]
  })
}

test('the helper that writes is understood by the parser itself', () => {
  const random = new Random(7)
  const config = randomConfig(random)
  expect(parse(writeToml(random, config))).toEqual(config)
})
