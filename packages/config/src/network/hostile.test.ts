import { describe, expect, test } from 'vitest'
import { lanDefaults } from '../lan.ts'
import { type FirewallSettings, firewallClosed, firewallDefaults } from './firewall-settings.ts'
import { type NetworkSettings, networkDefaults, parseNetworkFiles } from './network-settings.ts'
import { renderFirewall } from './render-firewall.ts'
import { renderRuntimeFiles, runtimePaths } from './runtime-files.ts'
import { hostileValue, mutated, Random } from './test-random.ts'

/** Whatever stands in the files: what is rendered is what validated settings give, line by line. */

const validFiles = {
  firewall: { wan: { tcp: [80, 443], udp: [51820] }, lan: { tcp: [443, 1883], udp: [5353] } },
  lan: {
    gateway_cidr: '10.9.0.1/20',
    dhcp_start: '10.9.1.0',
    dhcp_end: '10.9.15.254',
    domain: 'plant.example',
    hostname_pattern: 'machine-{mac}',
    gateway_aliases: ['gateway', 'time'],
  },
  host: {
    dns_servers: ['192.0.2.53', '2001:db8::53'],
    dns_search_domains: ['example.com'],
    default_gateway: '192.0.2.1',
    ntp: { servers: ['ntp.example.com', '192.0.2.123'] },
    interfaces: {
      eth0: { mode: 'static', address: '192.0.2.7/24', gateway: '192.0.2.1', dns_servers: ['192.0.2.54'] },
      eth2: { mode: 'dhcp', dns_search_domains: ['two.example.com'] },
      eth3: { mode: 'static', address: '198.51.100.7/32', gateway: '198.51.100.1' },
    },
  },
}

test('the files that are changed here are valid', () => {
  const { problems, settings } = parseNetworkFiles(
    texts(validFiles.lan, validFiles.firewall, validFiles.host),
  )
  expect(problems).toEqual([])
  expect(settings.firewall).toEqual(validFiles.firewall)
})

describe.each([1, 20_261_127, 0xc0ffee])('seed %i', (seed) => {
  test('random values: 3,000 of each file', () => {
    const random = new Random(seed)
    for (let count = 0; count < 3_000; count += 1) {
      expectSafe(texts(hostileValue(random), hostileValue(random), hostileValue(random)))
    }
  })

  test('valid files with something changed: 3,000', () => {
    const random = new Random(seed + 1)
    const valid = texts(validFiles.lan, validFiles.firewall, validFiles.host)
    let accepted = 0
    for (let count = 0; count < 3_000; count += 1) {
      const name = random.pick(['lan', 'firewall', 'host'] as const)
      const changed = { ...valid, [name]: mutated(random, validFiles[name]), sshOnWan: random.below(2) === 0 }
      if (expectSafe(changed) === 0) accepted += 1
    }
    // Some changes are harmless: the test would say nothing if all were refused, or none.
    expect(accepted).toBeGreaterThan(100)
    expect(accepted).toBeLessThan(1_500)
  })

  test('random bytes are no settings', () => {
    const random = new Random(seed + 2)
    for (let count = 0; count < 1_000; count += 1) {
      const noise = String.fromCharCode(...random.list(40, () => random.below(0x250)))
      const { settings, problems } = parseNetworkFiles({
        lan: noise,
        firewall: noise,
        host: noise,
        sshOnWan: false,
      })
      if (problems.length > 0) expect(settings).toEqual({ ...networkDefaults, firewall: firewallClosed })
    }
  })
})

test('ports: any valid lists come back from the rules, and nothing else does', () => {
  const random = new Random(7)
  const ports = () => random.list(30, () => 1 + random.below(65_535))
  for (let count = 0; count < 500; count += 1) {
    const file = { wan: { tcp: ports(), udp: ports() }, lan: { tcp: ports(), udp: ports() } }
    const { settings } = parseNetworkFiles(texts(undefined, file, undefined))
    expectRules(renderFirewall(settings), settings)
    if (!file.wan.tcp.includes(8080)) expect(settings.firewall.wan).toEqual(sorted(file.wan))
    else expect(settings.firewall).toEqual(firewallClosed)
  }
})

function texts(lan: unknown, firewall: unknown, host: unknown) {
  const text = (value: unknown) => (value === undefined ? undefined : JSON.stringify(value))
  return { lan: text(lan), firewall: text(firewall), host: text(host), sshOnWan: false }
}

/** Gives the number of problems. */
function expectSafe(files: Parameters<typeof parseNetworkFiles>[0]): number {
  const { settings, problems } = parseNetworkFiles(files)
  for (const { path, message, hint } of problems) {
    expect(`${path}${message}${hint ?? ''}`).toMatch(/^[\x20-\x7e]+$/)
    expect(`${path}${message}`.length).toBeLessThan(400)
  }
  expectWhole('firewall-inbound.json', settings.firewall, firewallClosed)
  expectWhole('lan-settings.json', settings.lan, lanDefaults)
  expectWhole('host-network.json', settings.host, networkDefaults.host)
  expectRules(renderFirewall(settings), settings)
  for (const [path, text] of renderRuntimeFiles(settings)) {
    if (path !== runtimePaths.firewall) expectLines(path, text)
  }
  return problems.length

  function expectWhole(name: string, found: unknown, safe: unknown) {
    if (problems.some(({ path }) => path.startsWith(name))) expect(found).toEqual(safe)
  }
}

/** Every line that differs from the rules of the image is the line of one set, or the rules for a closed LAN. */
function expectRules(text: string, { firewall, sshOnWan, lan }: NetworkSettings): void {
  const skeleton = renderFirewall({
    lan,
    sshOnWan: false,
    firewall: firewall.lan === 'open' ? firewallDefaults : { ...firewallClosed },
  })
  const lanPorts = firewall.lan === 'open' ? { tcp: [], udp: [] } : firewall.lan
  expect(text.replace(/\n {4}elements = \{ [0-9, ]+ \}/g, '')).toBe(skeleton)
  expect(setsOf(text)).toEqual({
    wan_tcp: firewall.wan.tcp.filter((port) => port !== 22),
    wan_udp: firewall.wan.udp,
    wan_ssh: sshOnWan ? [22] : [],
    wan_boot_ui: [],
    lan_tcp: lanPorts.tcp,
    lan_udp: lanPorts.udp,
  })
  expect(setsOf(text).wan_tcp).not.toContain(8080)
}

/** Sets of ports, read back from the text of the rules. */
function setsOf(text: string): Record<string, number[]> {
  const sets = text.matchAll(
    / {2}set (\w+) \{\n {4}type inet_service\n(?: {4}elements = \{ ([0-9, ]+) \}\n)? {2}\}/g,
  )
  return Object.fromEntries(
    [...sets].map(([, name, list]) => [name!, list === undefined ? [] : list.split(', ').map(Number)]),
  )
}

const address = String.raw`\d{1,3}(?:\.\d{1,3}){3}`
const name = '[A-Za-z0-9.-]+'
const server = '[A-Za-z0-9.:-]+'

/** All lines that can be in a file, whatever the settings. */
const possibleLines: Readonly<Record<string, RegExp>> = {
  [runtimePaths.dnsmasq]: anyOf(
    'interface=eth1|except-interface=lo|bind-dynamic|no-resolv|no-hosts|no-poll|dhcp-authoritative',
    `local=/${name}/|domain=${name}|host-record=${name},${name},${address}`,
    `dhcp-range=${address},${address},${address},12h|dhcp-option=option:router`,
    `dhcp-option=option:ntp-server,${address}|dhcp-leasefile=/var/lib/misc/[\\d.]+-\\d+\\.leases`,
    '# Of this network: leases of another would bring its names back\\.',
    'hostsdir=/run/atomixos/lan-names|dhcp-script=/usr/lib/atomixos/lan-name',
    '# (?:Nothing leaves|No default route)[^\\n]*',
  ),
  [runtimePaths.namePattern]: anyOf('[A-Za-z0-9.{}-]+'),
  [runtimePaths.chrony]: anyOf(
    `server ${server} iburst|driftfile /var/lib/chrony/chrony\\.drift|makestep 1 3|rtcsync|cmdport 0`,
    'leapseclist /usr/share/zoneinfo/leap-seconds\\.list|local stratum 10',
    `bindaddress ${address}|allow ${address}/\\d\\d|# (?:Its own clock|Only on the address)[^\\n]*`,
  ),
  [runtimePaths.resolved]: anyOf(`\\[Resolve\\]|DNS=${server}|Domains=${name}(?: ${name})*`),
}
const networkLines = anyOf(
  '|\\[(?:Match|Link|Network|Route|DHCPv4)\\]|Name=eth\\d{1,3}|RequiredForOnline=no|DHCP=ipv4',
  `Address=${address}/\\d{1,2}|DNS=${server}|Domains=${name}(?: ${name})*|ConfigureWithoutCarrier=yes`,
  'LinkLocalAddressing=no|IPv6AcceptRA=no|LLDP=no|EmitLLDP=no|GatewayOnLink=yes|Metric=\\d+',
  `Gateway=${address}|ClientIdentifier=mac|UseHostname=no|UseTimezone=no|UseDNS=no|UseGateway=no`,
  'RouteMetric=\\d+',
)

function expectLines(path: string, text: string): void {
  expect(text.endsWith('\n')).toBe(true)
  const possible = possibleLines[path] ?? networkLines
  for (const line of text.slice(0, -1).split('\n'))
    expect([path, line]).toEqual([path, possible.exec(line)?.[0]])
}

function anyOf(...alternatives: string[]): RegExp {
  return new RegExp(`^(?:${alternatives.join('|')})$`)
}

function sorted({ tcp, udp }: FirewallSettings['wan']): FirewallSettings['wan'] {
  const order = (ports: readonly number[]) => [...new Set(ports)].sort((a, b) => a - b)
  return { tcp: order(tcp), udp: order(udp) }
}
