import { runtimePaths } from '@atomixos/config'
import { describe, expect, test } from 'vitest'
import { networkUnits, type PlanInput, planNetwork } from './network-plan.ts'

const { firewall, dnsmasq, namePattern, chrony, resolved } = runtimePaths
const wan = '/run/systemd/network/10-wan.network'
const eth2 = '/run/systemd/network/30-eth2.network'

const files = (...paths: string[]) => new Map(paths.map((path) => [path, `${path}, new`]))
const old = (...paths: string[]) => new Map(paths.map((path) => [path, `${path}, old`]))

/** Steps in short. At a start nothing runs yet; later everything does. */
function plan(when: 'start' | 'later', input: Partial<PlanInput>): string[] {
  const steps = planNetwork({
    current: new Map(),
    wanted: new Map(),
    running: new Set(when === 'start' ? [] : Object.values(networkUnits)),
    unfinished: false,
    reload: when === 'later',
    ...input,
  })
  return steps.map((step) => [step.step, ...Object.values(step).slice(1, 2)].join(' '))
}

describe('at a start', () => {
  test('without settings there is nothing to do: the built-in rules are loaded', () => {
    expect(plan('start', {})).toEqual([])
  })

  test('everything is written and the rules loaded; what comes later reads the files by itself', () => {
    expect(plan('start', { wanted: files(firewall, dnsmasq, chrony, wan, resolved) })).toEqual([
      ...[chrony, dnsmasq, firewall, wan, resolved].map((path) => `write ${path}`),
      `loadFirewall ${firewall}`,
    ])
  })

  test('what runs already is told', () => {
    expect(plan('start', { wanted: files(resolved), running: new Set([networkUnits.resolved]) })).toEqual([
      `write ${resolved}`,
      `reloadUnit ${networkUnits.resolved}`,
    ])
  })
})

describe('later', () => {
  test('nothing differs: only the rules are loaded again, whoever has changed them', () => {
    const same = files(firewall, dnsmasq, chrony, wan)
    expect(plan('later', { current: same, wanted: same })).toEqual([`loadFirewall ${firewall}`])
    expect(plan('later', {})).toEqual(['loadFirewall /etc/nftables.conf'])
  })

  test.each<[string, string[], string[]]>([
    ['ports', [firewall], [`loadFirewall ${firewall}`]],
    ['the WAN', [wan], ['loadFirewall /etc/nftables.conf', `reloadLinks ${wan}`]],
    ['two interfaces', [wan, eth2], ['loadFirewall /etc/nftables.conf', `reloadLinks ${wan},${eth2}`]],
    ['DNS servers', [resolved], ['loadFirewall /etc/nftables.conf', `reloadUnit ${networkUnits.resolved}`]],
    ['the LAN', [dnsmasq], ['loadFirewall /etc/nftables.conf', `restartUnit ${networkUnits.dnsmasq}`]],
    ['names', [namePattern], ['loadFirewall /etc/nftables.conf', `restartUnit ${networkUnits.dnsmasq}`]],
    ['time servers', [chrony], ['loadFirewall /etc/nftables.conf', `restartUnit ${networkUnits.chrony}`]],
  ])('%s: a file that is new, changed or gone has the same effect, and no other', (_, paths, effects) => {
    const built = effects.map((effect) => effect.replace(firewall, '/etc/nftables.conf'))
    const write = paths.map((path) => `write ${path}`)
    expect(plan('later', { wanted: files(...paths) })).toEqual([...write, ...effects])
    expect(plan('later', { current: old(...paths), wanted: files(...paths) })).toEqual([...write, ...effects])
    expect(plan('later', { current: old(...paths) })).toEqual([
      ...paths.map((path) => `remove ${path}`),
      ...built,
    ])
  })

  test('what does not run is not started', () => {
    const running = new Set<string>()
    expect(plan('later', { wanted: files(dnsmasq, chrony, wan, resolved), running }).at(-1)).toBe(
      'loadFirewall /etc/nftables.conf',
    )
  })

  test('after a run that did not end, everything is told again', () => {
    const same = files(firewall)
    expect(plan('later', { current: same, wanted: same, unfinished: true })).toEqual([
      `loadFirewall ${firewall}`,
      'reloadLinks ',
      `reloadUnit ${networkUnits.resolved}`,
      `restartUnit ${networkUnits.dnsmasq}`,
      `restartUnit ${networkUnits.chrony}`,
    ])
  })

  test('files are there before anybody is told of them, and the rules before the networks', () => {
    const order = plan('later', { wanted: files(firewall, wan, dnsmasq) }).map((step) => step.split(' ')[0])
    expect(order).toEqual(['write', 'write', 'write', 'loadFirewall', 'reloadLinks', 'restartUnit'])
  })
})
