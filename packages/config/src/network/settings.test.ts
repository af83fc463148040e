import { describe, expect, test } from 'vitest'
import { lanDefaults } from '../lan.ts'
import { renderProblem } from '../problem.ts'
import { firewallClosed } from './firewall-settings.ts'
import { type NetworkFiles, networkDefaults, parseNetworkFiles } from './network-settings.ts'

function parse(files: { lan?: unknown; firewall?: unknown; host?: unknown; sshOnWan?: boolean }) {
  const text = (value: unknown) =>
    value === undefined || typeof value === 'string' ? value : JSON.stringify(value)
  const texts = { lan: text(files.lan), firewall: text(files.firewall), host: text(files.host) }
  return parseNetworkFiles({ ...texts, sshOnWan: files.sshOnWan ?? false } as NetworkFiles)
}

const problems = (files: Parameters<typeof parse>[0]) => parse(files).problems.map(renderProblem)

test('no files: the defaults', () => {
  expect(parse({})).toEqual({ settings: networkDefaults, problems: [], remarks: [] })
})

test('empty files say nothing', () => {
  expect(networkDefaults).toMatchObject(parse({ lan: {}, firewall: {}, host: {} }).settings)
})

describe('firewall-inbound.json', () => {
  test('lists of ports; each once and in order', () => {
    expect(
      parse({ firewall: { wan: { tcp: [443, 80, 443] }, lan: { udp: [5353] } } }).settings.firewall,
    ).toEqual({
      wan: { tcp: [80, 443], udp: [] },
      lan: { tcp: [], udp: [5353] },
    })
  })

  test('a LAN scope without ports leaves the LAN open', () => {
    expect(parse({ firewall: { lan: { tcp: [] } } }).settings.firewall.lan).toBe('open')
  })

  test('port 8080 on the WAN is refused, and with it the file', () => {
    const { settings } = parse({ firewall: { wan: { tcp: [443, 8080] } } })
    expect(settings.firewall).toEqual(firewallClosed)
    expect(problems({ firewall: { wan: { tcp: [443, 8080] } } })).toEqual([
      'firewall-inbound.json: wan.tcp: port 8080 is reserved\n' +
        '  the API is for the LAN: let a proxy with authentication face the WAN',
    ])
  })

  test('UDP 8080 on the WAN is nothing special', () => {
    expect(parse({ firewall: { wan: { udp: [8080] } } }).problems).toEqual([])
  })

  test('SSH on the WAN needs the flag: its port in the list is a remark', () => {
    const file = { firewall: { wan: { tcp: [22] } } }
    expect(parse(file).remarks).toEqual([
      'firewall-inbound.json: wan.tcp: port 22 stays closed; SSH on the WAN is opened by ssh-wan-enabled alone',
    ])
    expect(parse({ ...file, sshOnWan: true }).remarks).toEqual([])
  })

  test('all that is wrong is told at once', () => {
    expect(problems({ firewall: { wan: { tcp: [0, '443', 1.5, 65_536] }, lan: [], forward: true } })).toEqual(
      [
        'firewall-inbound.json: forward: there is no such key\n  allowed: wan, lan',
        'firewall-inbound.json: wan.tcp[0]: 0 is not a port\n  a port is a whole number from 1 to 65535',
        'firewall-inbound.json: wan.tcp[1]: "443" is not a port\n  a port is a whole number from 1 to 65535',
        'firewall-inbound.json: wan.tcp[2]: 1.5 is not a port\n  a port is a whole number from 1 to 65535',
        'firewall-inbound.json: wan.tcp[3]: 65536 is not a port\n  a port is a whole number from 1 to 65535',
        'firewall-inbound.json: lan: [] is not an object',
      ],
    )
  })

  test.each(['', '{', '[]', 'null', '1', '{"wan":{"tcp":[443]}', 'unreadable: EIO'])(
    '%j closes the LAN',
    (text) => {
      const { settings, problems: found } = parse({ firewall: text })
      expect(found).toHaveLength(1)
      expect(settings.firewall).toEqual(firewallClosed)
    },
  )
})

describe('lan-settings.json', () => {
  test('what is not there is as by default', () => {
    expect(parse({ lan: { domain: 'plant.example' } }).settings.lan).toMatchObject({
      gatewayCidr: '172.20.30.1/24',
      dhcpStart: '172.20.30.10',
      domain: 'plant.example',
      gatewayAliases: ['atomixos'],
    })
  })

  test.each<[string, Record<string, unknown>, string[]]>([
    [
      'another network needs another range',
      { gateway_cidr: '10.1.2.1/24' },
      [
        'dhcp_start: 172.20.30.10 is not in the LAN\n  the LAN is 10.1.2.1 to 10.1.2.254',
        'dhcp_end: 172.20.30.254 is not in the LAN\n  the LAN is 10.1.2.1 to 10.1.2.254',
      ],
    ],
    [
      'no prefix length',
      { gateway_cidr: '172.20.30.1' },
      [
        'gateway_cidr: "172.20.30.1" is not an IPv4 address with prefix length\n  for example "172.20.30.1/24"',
      ],
    ],
    [
      'too large a network',
      { gateway_cidr: '172.20.30.1/15' },
      ['gateway_cidr: the prefix length is 15\n  it is between 16 and 30'],
    ],
    [
      'the broadcast address',
      { gateway_cidr: '172.20.30.255/24' },
      ['gateway_cidr: "172.20.30.255/24" is not an address that a machine can have'],
    ],
    [
      'a range that ends before it starts',
      { dhcp_start: '172.20.30.20', dhcp_end: '172.20.30.19' },
      ['dhcp_end: the range ends before it starts'],
    ],
    [
      'a range with the gateway in it',
      { gateway_cidr: '172.20.30.100/24' },
      ["dhcp_start: the range holds the gateway's own address\n  start behind it, or end before it"],
    ],
    [
      'names',
      { domain: 'a b', hostname_pattern: 'machine', gateway_aliases: ['-x'] },
      [
        'domain: "a b" is not a domain name',
        'hostname_pattern: "machine" is not a DNS name with {mac} in it, such as "machine-{mac}"',
        'gateway_aliases[0]: "-x" is not a DNS name',
      ],
    ],
  ])('%s', (_, lan, expected) => {
    expect(problems({ lan })).toEqual(expected.map((line) => `lan-settings.json: ${line}`))
    expect(parse({ lan }).settings.lan).toBe(lanDefaults)
  })
})

describe('host-network.json', () => {
  test('default_gateway is the gateway of eth0', () => {
    const { settings } = parse({ host: { default_gateway: '192.0.2.1' } })
    expect(settings.host.interfaces).toEqual({
      eth0: { mode: 'dhcp', gateway: '192.0.2.1', dnsServers: [], dnsSearchDomains: [] },
    })
  })

  test('no time servers is an answer too', () => {
    expect(parse({ host: { ntp: { servers: [] } } }).settings.host.ntpServers).toEqual([])
  })

  const eth0 = (more: object) => ({ interfaces: { eth0: { mode: 'static', ...more } } })
  test.each<[string, unknown, string[]]>([
    [
      'eth1',
      { interfaces: { eth1: { mode: 'dhcp' } } },
      ['interfaces.eth1: it is the LAN\n  its address is gateway_cidr in lan-settings.json'],
    ],
    [
      'another name',
      { interfaces: { 'wlan0\n': {} } },
      ['interfaces."wlan0\\n": there is no such interface\n  they are called eth0, eth1, eth2...'],
    ],
    [
      'static without an address',
      eth0({}),
      [
        'interfaces.eth0.address: nothing is not an IPv4 address with prefix length\n  for example "192.0.2.7/24"',
      ],
    ],
    [
      'DHCP with an address',
      { interfaces: { eth0: { mode: 'dhcp', address: '192.0.2.7/24' } } },
      ['interfaces.eth0.address: an interface with DHCP has none\n  leave it out, or say mode "static"'],
    ],
    [
      'a gateway elsewhere',
      eth0({ address: '192.0.2.7/24', gateway: '192.0.3.1' }),
      ['interfaces.eth0.gateway: 192.0.3.1 is not a machine in the network of 192.0.2.7/24'],
    ],
    [
      'two gateways',
      { default_gateway: '192.0.2.2', ...eth0({ address: '192.0.2.7/24', gateway: '192.0.2.1' }) },
      ['default_gateway: 192.0.2.2 is not the gateway 192.0.2.1 of eth0\n  give one of them'],
    ],
    [
      'the addresses of the LAN',
      eth0({ address: '172.20.0.7/16' }),
      [
        'interfaces.eth0.address: 172.20.0.7/16 and the LAN 172.20.30.1/24 share addresses\n  give the LAN another gateway_cidr',
      ],
    ],
    [
      'the same network twice',
      {
        interfaces: {
          eth0: { mode: 'static', address: '192.0.2.7/24' },
          eth2: { mode: 'static', address: '192.0.2.129/25' },
        },
      },
      [
        'interfaces.eth2.address: 192.0.2.129/25 and 192.0.2.7/24 of eth0 share addresses\n  give each interface a network of its own',
      ],
    ],
    [
      'servers',
      { dns_servers: ['dns.example.com'], ntp: { servers: ['a b'] } },
      [
        'dns_servers[0]: "dns.example.com" is not an IP address',
        'ntp.servers[0]: "a b" is not a host name or an IP address',
      ],
    ],
  ])('%s', (_, host, expected) => {
    expect(problems({ host }).sort()).toEqual(expected.map((line) => `host-network.json: ${line}`))
    expect(parse({ host }).settings.host).toEqual(networkDefaults.host)
  })
})
