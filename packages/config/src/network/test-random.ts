/** For tests: the same numbers for the same seed, wherever they are drawn. */
export class Random {
  private state: number

  constructor(seed: number) {
    this.state = seed >>> 0
  }

  /** From 0 up to, and without, 1. */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0
    let mixed = this.state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  below(limit: number): number {
    return Math.floor(this.next() * limit)
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!
  }

  list<T>(lengthMax: number, make: () => T): T[] {
    return Array.from({ length: this.below(lengthMax + 1) }, make)
  }
}

const hostileTexts = [
  '443; accept',
  '443 }\n}\ntable inet x { chain y { type filter hook input priority -400; policy accept; } }\n#',
  '"; include "/etc/shadow',
  'a\nno-resolv\nserver=8.8.8.8',
  'a\r\n[Network]\nIPForward=yes',
  '172.20.30.1/24\nDNS=6.6.6.6',
  '172.20.30.1/24 ',
  '0172.20.30.1/24',
  '172.20.30.1/024',
  '１７２.20.30.1',
  '$(reboot)',
  '`reboot`',
  '{mac}\n',
  '{mac}{mac}{mac}{mac}{mac}{mac}',
  'x{mac}/../../etc',
  '{{mac}}',
  'a,b,10.0.0.1',
  'a b',
  'a#b',
  'a\u0000b',
  'a\u2028b',
  '-a',
  'a-',
  '.',
  '..',
  '',
  '*',
  '::1\n',
  '::1%eth0',
  'fe80::1;',
  '__proto__',
  'constructor',
  'time.cloudflare.com iburst\nallow all',
  'eth0',
  'eth1',
  'tun0',
  '0.0.0.0',
  '255.255.255.255',
  '127.0.0.1/8',
  '224.0.0.1/24',
  '10.0.0.0/8',
]

const hostileNumbers = [
  ...[0, -0, -1, 1, 22, 53, 80, 443, 8080, 65_535, 65_536, 2 ** 31, 2 ** 32, 2 ** 53, 1e308, -1e308],
  ...[0.5, 443.0000001, 1e-7, 1e21],
]

/** Any JSON value, with what somebody would write who means no good. */
export function hostileValue(random: Random, depth = 0): unknown {
  const kind = random.below(depth > 3 ? 5 : 8)
  if (kind === 0) return random.pick([null, true, false])
  if (kind <= 2) return random.pick(hostileNumbers)
  if (kind <= 4) return random.pick(hostileTexts)
  if (kind === 5) return random.list(5, () => hostileValue(random, depth + 1))
  return JSON.parse(
    `{${random
      .list(4, () => {
        const key = random.pick([...knownKeys, ...hostileTexts])
        return `${JSON.stringify(key)}:${JSON.stringify(hostileValue(random, depth + 1))}`
      })
      .join(',')}}`,
  )
}

const knownKeys = [
  ...['wan', 'lan', 'tcp', 'udp', 'gateway_cidr', 'dhcp_start', 'dhcp_end', 'domain', 'hostname_pattern'],
  ...[
    'gateway_aliases',
    'interfaces',
    'eth0',
    'eth1',
    'eth2',
    'mode',
    'address',
    'gateway',
    'ntp',
    'servers',
  ],
  ...['dns_servers', 'dns_search_domains', 'default_gateway', '__proto__', 'constructor', 'toString'],
]

/** The value with something in it replaced, added or taken away; the text of the result, perhaps no JSON any more. */
export function mutated(random: Random, value: unknown): string {
  const text = JSON.stringify(value)
  switch (random.below(4)) {
    case 0: {
      const position = random.below(text.length)
      const character = random.pick([...'{}[]",:;\n\\0 9-e.'])
      return text.slice(0, position) + character + text.slice(position + random.below(2))
    }
    case 1: {
      const position = random.below(text.length)
      return text.slice(0, position) + text.slice(position + 1 + random.below(6))
    }
    default:
      return JSON.stringify(withChange(random, value))
  }
}

function withChange(random: Random, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || random.below(5) === 0) return hostileValue(random)
  if (Array.isArray(value)) {
    const index = random.below(value.length + 1)
    return [...value.slice(0, index), withChange(random, value[index]), ...value.slice(index + 1)]
  }
  const keys = Object.keys(value)
  const key = random.below(4) === 0 ? random.pick([...knownKeys, ...hostileTexts]) : random.pick(keys)
  const entries = Object.entries(value).map(
    ([name, member]) => `${JSON.stringify(name)}:${JSON.stringify(member)}`,
  )
  const changed = withChange(random, (value as Record<string, unknown>)[key ?? 'x'])
  return JSON.parse(`{${[...entries, `${JSON.stringify(key ?? 'x')}:${JSON.stringify(changed)}`].join(',')}}`)
}
