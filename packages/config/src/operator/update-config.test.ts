import { describe, expect, test } from 'vitest'
import { hostileValue, Random } from '../network/test-random.ts'
import { renderProblem } from '../problem.ts'
import { toToml } from './canonical.ts'
import { parseConfig } from './parse-config.ts'
import { leastToml, randomConfig, testKey } from './test-configs.ts'
import { type Update, updateConfig, updateTables } from './update-config.ts'

const least = parseConfig(leastToml).config!
const update = (change: Update) => updateConfig(least, change)
const problems = (change: Update) => update(change).problems.map(renderProblem)

test('a user is put, replaced and removed', () => {
  const added = update({ put: 'users', name: 'bob', value: { ssh_key: testKey } })
  expect(added.problems).toEqual([])
  expect(added.toml).toContain(`[users.bob]\nssh_key = "${testKey}"\n`)
  const replaced = updateConfig(added.config!, { put: 'users', name: 'bob', value: { shell: 'sh' } })
  expect(replaced.config!.users['bob']).toEqual({ shell: 'sh' })
  const removed = updateConfig(replaced.config!, { remove: 'users', name: 'bob' })
  expect(removed.toml).toBe(toToml(least))
})

test('the very same validation: what would not be valid changes nothing', () => {
  expect(problems({ remove: 'users', name: 'alice' })).toEqual([
    'users: there is no administrator\n  one user at least needs isAdmin = true and an ssh_key',
  ])
  expect(problems({ remove: 'containers', name: 'web' })).toEqual([
    'containers.container: the table is empty\n  at least 1 is needed',
    'activation.required[0]: there is no container "web"\n  there are: ',
  ])
  expect(problems({ put: 'users', name: 'root', value: {} })).toHaveLength(1)
  expect(problems({ put: 'containers', name: '../x', value: {} })).toHaveLength(1)
  expect(problems({ put: 'containers', name: 'x', value: null })).toEqual([
    'containers.container.x: null is not a table',
  ])
  expect(update({ remove: 'users', name: 'alice' }).toml).toBeUndefined()
  expect(toToml(least)).toBe(toToml(parseConfig(leastToml).config!))
})

test.each(['bob', 'toString', '__proto__'])('what is not there cannot be removed: %s', (name) => {
  expect(problems({ remove: 'users', name })).toEqual([`users.${name}: it is not there`])
})

describe('the network is patched', () => {
  const patch = (value: unknown, config = least) => updateConfig(config, { patch: 'network', value })
  test('what is said is replaced, the rest stays, null takes it away', () => {
    const first = patch({
      dns_servers: ['192.0.2.53'],
      dnsmasq: { domain: 'a.example', gateway_aliases: ['x'] },
    })
    expect(first.problems).toEqual([])
    const second = patch({ dnsmasq: { domain: 'b.example', gateway_aliases: null } }, first.config)
    expect(second.config!.network).toEqual({ dns_servers: ['192.0.2.53'], dnsmasq: { domain: 'b.example' } })
    const third = patch({ dns_servers: null, dnsmasq: null }, second.config)
    expect(third.toml).toBe(toToml(least))
  })

  test.each<[unknown, string]>([
    [null, 'network: the change is not an object\n  such as { "dns_servers": ["192.0.2.53"] }'],
    [[], 'network: the change is not an object\n  such as { "dns_servers": ["192.0.2.53"] }'],
    [JSON.parse(`${'{"a":'.repeat(100)}1${'}'.repeat(100)}`), 'network: the change is nested too deeply'],
    [{ dns_server: [] }, 'network.dns_server: there is no such key\n  did you mean "dns_servers"?'],
    [
      { firewall: { inbound: { wan: { tcp: [8080] } } } },
      'network.firewall.inbound.wan.tcp: port 8080 is reserved\n  the API is for the LAN: let a proxy with authentication face the WAN',
    ],
  ])('%j', (value, expected) => {
    expect(patch(value).problems.map(renderProblem)).toEqual([expected])
  })
})

test.each([1, 2])('random updates never throw, and give valid configurations or none (seed %i)', (seed) => {
  const random = new Random(seed)
  const tables = Object.keys(updateTables) as (keyof typeof updateTables)[]
  for (let count = 0; count < 1_000; count += 1) {
    const config = randomConfig(random)
    const before = toToml(config)
    const name = random.pick(['alice', 'web', 'data', '__proto__', 'constructor', 'x', '../x', ''])
    const value = hostileValue(random)
    const change = random.pick<Update>([
      { put: random.pick(tables), name, value },
      { remove: random.pick(tables), name },
      { patch: 'network', value },
    ])
    const { config: after, toml, problems: found } = updateConfig(config, change)
    expect(after === undefined).toBe(found.length > 0)
    if (toml !== undefined) expect(toToml(parseConfig(toml).config!)).toBe(toml)
    expect(toToml(config)).toBe(before)
    expect(Object.keys(Object.prototype)).toEqual([])
  }
})
