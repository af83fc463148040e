import { parseConfig } from '@atomixos/config/operator/index.ts'
import { leastToml, testKey } from '@atomixos/config/operator/test-configs.ts'
import { expect, test } from 'vitest'
import { confirmationS, riskyChanges } from './needs-confirmation.ts'

const config = (more: string) => {
  const { config, problems } = parseConfig(leastToml + more)
  expect(problems).toEqual([])
  return config!
}
const least = config('')

test.each<[string, string, string[]]>([
  ['nothing', '', []],
  ['what holds anyway', '[network.dnsmasq]\ngateway_cidr = "172.20.30.1/24"\n', []],
  ['eth0 as it is anyway', '[network.interfaces.eth0]\nmode = "dhcp"\n', []],
  ['names of the LAN', '[network.dnsmasq]\ndomain = "plant"\n', []],
  ['time servers', '[network.ntp]\nservers = []\n', []],
  ['DNS servers', '[network]\ndns_servers = ["192.0.2.53"]\n', []],
  [
    'another container',
    '[containers.container.b]\nprivileged = true\nContainer.Image = "b.example/b:1"\n',
    [],
  ],
  ['somebody who is no administrator', `[users.bob]\nssh_key = "${testKey}"\n`, []],
  ['another administrator', `[users.bob]\nisAdmin = true\nssh_key = "${testKey}"\n`, ['admin keys']],
  ['a port of the WAN', '[network.firewall.inbound.wan]\ntcp = [443]\n', ['firewall']],
  ['the LAN closed', '[network.firewall.inbound.lan]\ntcp = [443]\n', ['firewall']],
  [
    'the address of the LAN',
    '[network.dnsmasq]\ngateway_cidr = "10.0.0.1/24"\ndhcp_start = "10.0.0.5"\ndhcp_end = "10.0.0.9"\n',
    ['addresses'],
  ],
  [
    'the address of the WAN',
    '[network.interfaces.eth0]\nmode = "static"\naddress = "192.0.2.7/24"\n',
    ['addresses'],
  ],
  ['the gateway', '[network]\ndefault_gateway = "192.0.2.1"\n', ['addresses']],
  ['another card', '[network.interfaces.eth2]\nmode = "dhcp"\n', ['addresses']],
])('%s', (_, more, expected) => {
  const changed = config(more)
  expect(riskyChanges(least, changed)).toEqual(expected)
  expect(riskyChanges(changed, least)).toEqual(expected)
  const after = changed
  const risky = expected.length > 0
  expect(confirmationS({ source: 'api', confirmS: undefined, before: least, after })).toBe(risky ? 300 : 0)
  expect(confirmationS({ source: 'boot-ui', confirmS: undefined, before: least, after })).toBe(
    risky ? 300 : 0,
  )
  expect(confirmationS({ source: 'command', confirmS: undefined, before: least, after })).toBe(0)
  expect(confirmationS({ source: 'command', confirmS: 60, before: least, after })).toBe(60)
  expect(confirmationS({ source: 'api', confirmS: 0, before: least, after })).toBe(0)
  expect(confirmationS({ source: 'api', confirmS: undefined, before: undefined, after })).toBe(0)
  expect(confirmationS({ source: 'api', confirmS: 60, before: undefined, after })).toBe(0)
  expect(confirmationS({ source: 'api', confirmS: undefined, before: 'unreadable', after })).toBe(300)
})
