import { expect, test } from 'vitest'
import { lanDefaults } from '../lan.ts'
import { networkDefaults, parseNetworkFiles } from './network-settings.ts'
import { renderNetworkd, renderResolved } from './render-host.ts'
import { renderChrony, renderDnsmasq, renderNamePattern } from './render-lan.ts'
import { renderRuntimeFiles } from './runtime-files.ts'

const host = (value: unknown) =>
  parseNetworkFiles({ lan: undefined, firewall: undefined, host: JSON.stringify(value), sshOnWan: false })
    .settings.host

test('nothing is rendered for what the image has built in', () => {
  expect([...renderRuntimeFiles(networkDefaults).keys()]).toEqual([])
  expect([...renderRuntimeFiles({ ...networkDefaults, sshOnWan: true }).keys()]).toEqual([
    '/run/atomixos/network/nftables.conf',
  ])
})

test('the LAN by default', () => {
  expect(renderDnsmasq(lanDefaults)).toContain(
    [
      'local=/local/',
      'domain=local',
      'host-record=atomixos,atomixos.local,172.20.30.1',
      'dhcp-range=172.20.30.10,172.20.30.254,255.255.255.0,12h',
      '',
    ].join('\n'),
  )
  expect(renderNamePattern(lanDefaults)).toBeUndefined()
})

test('names after the hardware', () => {
  const lan = { ...lanDefaults, hostnamePattern: 'machine-{mac}' }
  expect(renderDnsmasq(lan)).toContain(
    'hostsdir=/run/atomixos/lan-names\ndhcp-script=/usr/lib/atomixos/lan-name\n',
  )
  expect(renderNamePattern(lan)).toBe('machine-{mac}\nlocal\n')
})

test('the time is served on the LAN only, to the LAN only', () => {
  const text = renderChrony({ ...lanDefaults, gatewayCidr: '10.9.0.1/20' }, ['a.example', '192.0.2.1'])
  expect(
    text.split('\n').filter((line) => /^(server|bindaddress|allow|cmdport|local|port)\b/.test(line)),
  ).toEqual([
    'server a.example iburst',
    'server 192.0.2.1 iburst',
    'local stratum 10',
    'bindaddress 10.9.0.1',
    'allow 10.9.0.0/20',
    'cmdport 0',
  ])
})

test('WAN by DHCP, LAN without a way out', () => {
  expect(renderNetworkd(lanDefaults, networkDefaults.host)).toEqual({
    '10-wan.network':
      '[Match]\nName=eth0\n\n[Link]\nRequiredForOnline=no\n\n' +
      '[Network]\nDHCP=ipv4\nLinkLocalAddressing=no\nIPv6AcceptRA=no\nLLDP=no\nEmitLLDP=no\n\n' +
      '[DHCPv4]\nClientIdentifier=mac\nUseHostname=no\nUseTimezone=no\n',
    '20-lan.network':
      '[Match]\nName=eth1\n\n[Link]\nRequiredForOnline=no\n\n' +
      '[Network]\nAddress=172.20.30.1/24\nConfigureWithoutCarrier=yes\nLinkLocalAddressing=no\nIPv6AcceptRA=no\nLLDP=no\n',
  })
})

test('a static WAN with servers of its own', () => {
  const settings = host({
    interfaces: {
      eth0: { mode: 'static', address: '192.0.2.7/24', gateway: '192.0.2.1', dns_servers: ['192.0.2.53'] },
    },
  })
  expect(renderNetworkd(lanDefaults, settings)['10-wan.network']).toBe(
    '[Match]\nName=eth0\n\n[Link]\nRequiredForOnline=no\n\n' +
      '[Network]\nAddress=192.0.2.7/24\nDNS=192.0.2.53\nLinkLocalAddressing=no\nIPv6AcceptRA=no\nLLDP=no\nEmitLLDP=no\n\n' +
      '[Route]\nGateway=192.0.2.1\n',
  )
})

test("the operator's DNS servers and gateway take the place of DHCP's", () => {
  const settings = host({
    dns_servers: ['192.0.2.53', '2001:db8::53'],
    dns_search_domains: ['example.com', 'example.org'],
    default_gateway: '192.0.2.1',
    interfaces: { eth2: { mode: 'dhcp' } },
  })
  const files = renderNetworkd(lanDefaults, settings)
  expect(files['10-wan.network']).toContain('[Route]\nGateway=192.0.2.1\nGatewayOnLink=yes\n')
  expect(files['10-wan.network']).toContain('UseDNS=no\nUseGateway=no\n')
  expect(files['30-eth2.network']).toContain('UseDNS=no\nRouteMetric=2050\n')
  expect(renderResolved(settings)).toBe(
    '[Resolve]\nDNS=192.0.2.53\nDNS=2001:db8::53\nDomains=example.com example.org\n',
  )
})
