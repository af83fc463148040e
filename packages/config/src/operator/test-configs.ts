import type { Random } from '../network/test-random.ts'
import type { ContainerConfig, OperatorConfig } from './contract.ts'

/** For tests: configurations, valid and otherwise, and ways of writing them down. */

/** A public key that nobody has the other half of. */
export const testKey = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILFNjNtdKFTxnnwbjuukUdxKtdNgKT3OUSv00NmpdrJU'

/** The least that a device takes. */
export const leastToml = `version = 1
[users.alice]
isAdmin = true
ssh_key = "${testKey}"
[activation]
required = ["web"]
[containers.container.web]
privileged = false
Container.Image = "registry.example.com/web:1"
`

const nameParts = ['web', 'data', 'a', '1', 'proxy-2', '_x', '__proto__', 'constructor', 'x'.repeat(40)]
const texts = [
  ...['plain', 'with "quotes" and \'others\'', 'tab\there', 'ünïcödé €', 'back\\slash x', '# no comment', ''],
  ...['a=b c=d', '[x]', '日本', '%n', '\u2028', '"""', "'''", '\u0001'],
]

/** Any valid configuration: every key is there in some of them. */
export function randomConfig(random: Random): OperatorConfig {
  const maybe = <T extends object>(make: () => T, part = 0.5): T | Record<never, never> =>
    random.next() < part ? make() : {}
  const containers = uniqueNames(random, 1 + random.below(5))
  const volumes = uniqueNames(random, random.below(3))
  const lan = randomLan(random)
  const required = [random.pick(containers), ...random.list(2, () => random.pick(containers))]
  const others = containers.filter((name) => !required.includes(name))
  return {
    version: 1,
    users: Object.fromEntries([
      ['alice', { isAdmin: true, ssh_key: `${testKey} alice@desk` }],
      ...random.list(3, () => [
        random.pick(['bob', 'eve', '_x', 'c-3', '__proto__', 'constructor']),
        {
          ...maybe(() => ({ isAdmin: false })),
          ...maybe(() => ({ ssh_key: testKey })),
          ...maybe(() => ({ shell: random.pick(['bash', 'sh', 'zsh'] as const) })),
        },
      ]),
    ]),
    ...maybe(() => ({
      network: {
        ...maybe(() => ({ dns_servers: random.list(3, () => random.pick(['192.0.2.53', '2001:db8::53'])) })),
        ...maybe(() => ({ dns_search_domains: random.list(2, () => random.pick(['example.com', 'a.b'])) })),
        ...maybe(() => ({ default_gateway: '192.0.2.1' })),
        ...maybe(() => ({
          interfaces: {
            ...maybe(() => ({
              eth0: { mode: 'static' as const, address: '192.0.2.7/24', gateway: '192.0.2.1' },
            })),
            ...maybe(() => ({ eth1: { mode: 'static' as const, address: lan.gateway_cidr } })),
            ...maybe(() => ({ eth2: { mode: 'dhcp' as const, dns_servers: ['192.0.2.54'] } })),
          },
        })),
        dnsmasq: { ...lan, ...maybe(() => ({ enable: true as const, interface: 'eth1' as const })) },
        ...maybe(() => ({
          ntp: { servers: random.list(2, () => random.pick(['ntp.example.com', '192.0.2.9'])) },
        })),
        ...maybe(() => ({
          firewall: {
            inbound: { ...maybe(() => ({ wan: ports(random) })), ...maybe(() => ({ lan: ports(random) })) },
          },
        })),
      },
    })),
    activation: {
      required,
      ...maybe(() => ({ timeout_seconds: 1 + random.below(3600) })),
      ...maybe(() => ({ settle_seconds: random.below(301) })),
      ...maybe(() => ({ restart: random.list(2, () => random.pick(containers)) })),
      ...maybe(() => ({ allow_degraded: others })),
      ...maybe(() => ({ strategy: 'rollback' as const })),
    },
    ...maybe(() => ({
      os_upgrade: { server_url: random.pick(['https://a.example', 'https://a.example:8443/x/y']) },
    })),
    containers: {
      container: Object.fromEntries(containers.map((name) => [name, randomContainer(random, volumes)])),
      ...maybe(() => ({ network: { n: { Network: { Driver: 'bridge', Internal: true } } } })),
      ...(volumes.length > 0 && {
        volume: Object.fromEntries(
          volumes.map((name) => [name, { Volume: { Label: [random.pick(texts), 'a=b'] } }]),
        ),
      }),
      ...maybe(() => ({
        build: { b: { Build: { ImageTag: 'localhost/b', File: `\${FILES_DIR}/b/Containerfile` } } },
      })),
    },
  }
}

function randomContainer(random: Random, volumes: readonly string[]): ContainerConfig {
  const privileged = random.below(2) === 0
  const freely = {
    ...(random.below(2) === 0 && { Environment: random.list(4, () => `A=${random.pick(texts)}`) }),
    ...(random.below(2) === 0 && { Exec: random.pick(texts) }),
    ...(random.below(2) === 0 && { StopTimeout: random.below(100) }),
    ...(random.below(2) === 0 && { ReadOnly: random.below(2) === 0 }),
    ...(random.below(2) === 0 && { PublishPort: random.list(2, () => `${1024 + random.below(60_000)}:80`) }),
    ...(volumes.length > 0 && {
      Volume: [`${random.pick(volumes)}.volume:/data`, `\${FILES_DIR}/x.conf:/x:ro`],
    }),
  }
  return {
    privileged,
    Container: {
      Image: random.pick(['docker.io/library/a:1', `b.example/c@sha256:${'0'.repeat(64)}`]),
      ...freely,
      ...(privileged &&
        random.below(2) === 0 && { AddDevice: '/dev/ttyUSB0', PodmanArgs: ['--a', '--b'], PidsLimit: 1.5 }),
    },
    ...(random.below(2) === 0 && { Unit: { Description: random.pick(texts), After: 'x.service' } }),
    ...(random.below(2) === 0 && { Install: { WantedBy: ['multi-user.target'] } }),
  }
}

function randomLan(random: Random) {
  const third = random.below(256)
  return {
    gateway_cidr: `10.9.${third}.1/24`,
    dhcp_start: `10.9.${third}.${2 + random.below(100)}`,
    dhcp_end: `10.9.${third}.${102 + random.below(100)}`,
    ...(random.below(2) === 0 && { domain: 'plant.example' }),
    ...(random.below(2) === 0 && { hostname_pattern: 'm-{mac}' }),
    ...(random.below(2) === 0 && {
      gateway_aliases: random.list(3, () => random.pick(['gw', 'time', 'a.b'])),
    }),
  }
}

function ports(random: Random) {
  const list = () => random.list(5, () => 1 + random.below(8000))
  return { ...(random.below(2) === 0 && { tcp: list() }), ...(random.below(2) === 0 && { udp: list() }) }
}

function uniqueNames(random: Random, count: number): string[] {
  const found = new Set<string>()
  while (found.size < count)
    found.add(random.pick(nameParts) + (random.below(3) === 0 ? String(random.below(9)) : ''))
  return [...found]
}

/** A value in one of the many ways in which TOML can say it: headers, dotted keys, inline tables, comments. */
export function writeToml(random: Random, value: Readonly<Record<string, unknown>>): string {
  const lines: string[] = []
  writeTable(random, value, [], lines)
  return lines.join(random.below(4) === 0 ? '\r\n' : '\n')
}

function writeTable(
  random: Random,
  table: Readonly<Record<string, unknown>>,
  path: readonly string[],
  lines: string[],
): void {
  const later: [string, Readonly<Record<string, unknown>>][] = []
  for (const [key, member] of Object.entries(table)) {
    const isTable = typeof member === 'object' && member !== null && !Array.isArray(member)
    if (isTable && random.below(3) > 0) later.push([key, member as Readonly<Record<string, unknown>>])
    else {
      if (random.below(8) === 0) lines.push(`  # ${random.pick(texts).replace(/[\p{Cc}]/gu, '')} "`)
      const space = random.pick(['', ' ', '\t'])
      const entries = isTable ? Object.entries(member) : []
      if (entries.length > 0 && random.below(2) === 0) {
        for (const [name, inner] of entries)
          lines.push(`${keyText(random, key)}${space}.${keyText(random, name)} = ${valueText(random, inner)}`)
      } else lines.push(`${space}${keyText(random, key)}${space}=${space}${valueText(random, member)}`)
    }
  }
  for (const [key, member] of later) {
    const inner = [...path, key]
    lines.push(
      random.pick(['', '# next']),
      `[${inner.map((part) => keyText(random, part)).join(random.pick(['.', ' . ']))}] # x`,
    )
    writeTable(random, member, inner, lines)
  }
}

function keyText(random: Random, key: string): string {
  if (random.below(6) === 0) return random.below(2) === 0 ? `'${key}'` : JSON.stringify(key)
  return key
}

function valueText(random: Random, value: unknown): string {
  if (typeof value === 'string') return stringText(random, value)
  if (Array.isArray(value)) {
    const items = value.map((item) => valueText(random, item))
    if (random.below(3) > 0) return `[${items.join(', ')}]`
    return `[ # list\n${items.map((item) => `  ${item}, # ] "\n`).join('')}]`
  }
  if (typeof value === 'object' && value !== null) {
    return `{ ${Object.entries(value)
      .map(([key, member]) => `${keyText(random, key)} = ${valueText(random, member)}`)
      .join(', ')} }`
  }
  return String(value)
}

function stringText(random: Random, text: string): string {
  const plain = !/[\p{Cc}'\u2028]/u.test(text)
  if (plain && random.below(4) === 0) return `'${text}'`
  const escaped = JSON.stringify(text).replace(
    /[\u007f-\u009f\u2028\u2029]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
  return random.below(6) === 0 ? `"""${escaped.slice(1, -1)}"""` : escaped
}
