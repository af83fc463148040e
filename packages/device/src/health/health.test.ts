import { describe, expect, test } from 'vitest'
import { type CheckResult, evaluateHealth, type HealthFacts, type UnitFacts } from './checks.ts'
import { watchHealth } from './gate.ts'
import { parseAddresses, parsePolicies, parseRequiredContainers, parseUnits } from './parse-facts.ts'

const active: UnitFacts = { activeState: 'active', subState: 'running', result: 'success' }
const healthy: HealthFacts = {
  units: new Map(
    ['dnsmasq', 'chrony', 'systemd-networkd', 'activation', 'app'].map(
      (name) => [`${name}.service`, active] as const,
    ),
  ),
  addresses: { eth0: ['192.0.2.7/24'], eth1: ['172.20.30.1/24'] },
  lanGatewayCidr: '172.20.30.1/24',
  firewall: { policies: { input: 'drop', forward: 'drop' } },
  requiredContainers: [{ name: 'app', unit: 'app.service', mode: 'rootful' }],
  dataProblem: undefined,
  dataSpace: { sizeBytes: 13e9, freeBytes: 12e9, availableBytes: 12e9 },
}

function problems(change: Partial<HealthFacts>): string[] {
  return evaluateHealth({ ...healthy, ...change })
    .filter(({ ok }) => !ok)
    .map(({ check, message, weight }) => `${weight} ${check}: ${message}`)
}

const without = (name: string) => new Map([...healthy.units].filter(([unit]) => unit !== name))

describe('checks', () => {
  test('a healthy system passes all of them', () => {
    expect(problems({})).toEqual([])
    expect(evaluateHealth(healthy).map(({ check }) => check)).toEqual([
      ...['data', 'data-space', 'dnsmasq', 'chrony', 'network', 'activation'],
      ...['lan-address', 'wan-address', 'firewall', 'container:app'],
    ])
  })

  test('nothing to apply is well', () => {
    const inactive = { activeState: 'inactive', subState: 'dead', result: 'success' }
    expect(problems({ units: new Map([...healthy.units, ['activation.service', inactive]]) })).toEqual([])
  })

  test.each<[string, Partial<HealthFacts>, string]>([
    ['dnsmasq', { units: without('dnsmasq.service') }, 'required dnsmasq: dnsmasq.service is not-found'],
    [
      'a failed service',
      {
        units: new Map([
          ...healthy.units,
          ['chrony.service', { activeState: 'failed', subState: 'failed', result: 'exit-code' }],
        ]),
      },
      'required chrony: chrony.service is failed (exit-code)',
    ],
    [
      'a full /data',
      { dataSpace: { sizeBytes: 13e9, freeBytes: 30e6, availableBytes: 0 } },
      'warning data-space: /data: FULL, 0 MB of 13.0 GB free: remove what applications or users left on it',
    ],
    [
      'no LAN adapter',
      { addresses: { eth0: ['192.0.2.7/24'] } },
      'required lan-address: eth1 has no address or is not there, not 172.20.30.1/24',
    ],
    [
      'LAN without its address',
      { addresses: { ...healthy.addresses, eth1: [] } },
      'required lan-address: eth1 has no address or is not there, not 172.20.30.1/24',
    ],
    [
      "the LAN's built-in address where the operator gave another",
      { lanGatewayCidr: '10.1.0.1/16' },
      'required lan-address: eth1 has 172.20.30.1/24, not 10.1.0.1/16',
    ],
    [
      'a configuration that was not applied',
      {
        units: new Map([
          ...healthy.units,
          ['activation.service', { activeState: 'failed', subState: 'failed', result: 'exit-code' }],
        ]),
      },
      'required activation: activation.service is failed (exit-code): not all of the configuration holds',
    ],
    [
      'WAN down is a warning',
      { addresses: { eth1: ['172.20.30.1/24'] } },
      'warning wan-address: eth0 has no address',
    ],
    [
      'an open firewall',
      { firewall: { policies: { input: 'accept', forward: 'drop' } } },
      'required firewall: chain input has policy accept, not drop',
    ],
    [
      'no firewall',
      { firewall: { error: 'No such file' } },
      'required firewall: the rules cannot be listed: No such file',
    ],
    [
      'a container that is down',
      { units: without('app.service') },
      'required container:app: app.service is not-found',
    ],
    ['no /data', { dataProblem: 'gone' }, 'required data: /data is not available: gone'],
  ])('%s', (_, change, expected) => {
    expect(problems(change)).toEqual([expected])
  })
})

describe('facts', () => {
  test('units come in blocks', () => {
    const text =
      'Id=a.service\nLoadState=loaded\nActiveState=active\nSubState=running\nResult=success\n\nId=b.service\nLoadState=not-found\nActiveState=inactive\nSubState=dead\nResult=success\n'
    expect(Object.fromEntries(parseUnits(text))).toEqual({
      'a.service': active,
      'b.service': { activeState: 'not-found', subState: '', result: '' },
    })
  })

  test('the control group of a unit, where it was asked for and there is one', () => {
    const text =
      'Id=a.service\nLoadState=loaded\nActiveState=active\nSubState=running\nResult=success\nControlGroup=/system.slice/a.service\n\nId=b.service\nLoadState=loaded\nActiveState=inactive\nSubState=dead\nResult=success\nControlGroup=\n'
    const units = parseUnits(text)
    expect(units.get('a.service')).toEqual({ ...active, controlGroup: '/system.slice/a.service' })
    expect(units.get('b.service')).not.toHaveProperty('controlGroup')
  })

  test('policies of base chains', () => {
    const text =
      '{"nftables":[{"metainfo":{}},{"table":{}},{"chain":{"name":"input","policy":"drop"}},{"chain":{"name":"helper"}}]}'
    expect(parsePolicies(text)).toEqual({ policies: { input: 'drop' } })
    expect(parsePolicies('Error: x')).toEqual({ error: 'nft said something that is not its JSON' })
  })

  test('addresses of ip, those of an interface without a carrier as well', () => {
    const text = JSON.stringify([
      { ifname: 'lo', flags: ['LOOPBACK', 'UP'], addr_info: [{ local: '127.0.0.1', prefixlen: 8 }] },
      {
        ifname: 'eth1',
        flags: ['NO-CARRIER', 'UP'],
        operstate: 'DOWN',
        addr_info: [{ family: 'inet', local: '172.20.30.1', prefixlen: 24 }],
      },
      { ifname: 'eth2', flags: [], addr_info: [{ local: '192.0.2.1', prefixlen: 24 }] },
    ])
    expect(parseAddresses(text)).toEqual({ lo: ['127.0.0.1/8'], eth1: ['172.20.30.1/24'] })
    expect(parseAddresses('Error: x')).toEqual({})
  })

  test('required containers are found by their Quadlet; a broken list requires what cannot be found', () => {
    const runtime = '[{"unit":"app.container","service":"app-main.service","mode":"rootful"},null,{"unit":1}]'
    expect(parseRequiredContainers('["app","db"]', runtime)).toEqual([
      { name: 'app', unit: 'app-main.service', mode: 'rootful' },
      { name: 'db', unit: 'db.service', mode: 'rootful' },
    ])
    expect(parseRequiredContainers(undefined, runtime)).toEqual([])
    expect(parseRequiredContainers('{"app":1}', undefined)).toHaveLength(1)
    expect(parseRequiredContainers('["app"', undefined)).toHaveLength(1)
  })
})

describe('the gate', () => {
  const result = (check: string, ok: boolean, more: Partial<CheckResult> = {}): CheckResult => ({
    check,
    ok,
    message: `${check} is ${ok ? 'well' : 'not well'}`,
    weight: 'required',
    settleMs: 60_000,
    ...more,
  })

  /** `at` gives the checks by second; time passes only while the gate sleeps. */
  async function run(at: (second: number) => CheckResult[], tolerated: string[] = []) {
    let ms = 0
    const verdict = await watchHealth({
      check: async () => at(ms / 1000),
      sleep: async (duration) => {
        ms += duration
      },
      now: () => ms,
      tolerated: new Set(tolerated),
    })
    return { verdict, second: ms / 1000 }
  }

  test('takes 60 s when all is well', async () => {
    const { verdict, second } = await run(() => [result('a', true)])
    expect(verdict).toEqual({ healthy: true, warnings: [] })
    expect(second).toBe(60)
  })

  test('waits for what is still coming, and watches for 60 s from then on', async () => {
    const { verdict, second } = await run((at) => [result('a', at >= 40)])
    expect(verdict.healthy).toBe(true)
    expect(second).toBe(100)
  })

  test('one failure at second 40 is enough, and is named', async () => {
    const { verdict, second } = await run((at) => [result('a', true), result('b', at < 40 || at > 44)])
    expect(verdict).toMatchObject({
      healthy: false,
      check: 'b',
      reason: 'b is not well (failed 40 s after everything was well)',
    })
    expect(second).toBe(40)
  })

  test('ends when something has not come in its time', async () => {
    const { verdict, second } = await run(() => [result('a', false)])
    expect(verdict).toMatchObject({
      check: 'a',
      reason: 'a is not well (not well 60 s after the check began)',
    })
    expect(second).toBe(60)
  })

  test('does not wait for what is hopeless, but looks twice', async () => {
    const broken = await run(() => [result('a', false, { hopeless: true })])
    expect([broken.verdict.healthy, broken.second]).toEqual([false, 5])
    const restarted = await run((at) => [
      at === 0 ? result('a', false, { hopeless: true }) : result('a', true),
    ])
    expect([restarted.verdict.healthy, restarted.second]).toEqual([true, 65])
  })

  test('what failed before the update does not count, and is a warning', async () => {
    const { verdict } = await run(() => [result('a', true), result('b', false)], ['b'])
    expect(verdict).toEqual({
      healthy: true,
      warnings: ['b: b is not well (it failed before the update as well)'],
    })
  })

  test('a warning is told and does not count', async () => {
    const { verdict } = await run(() => [result('a', true), result('w', false, { weight: 'warning' })])
    expect(verdict).toEqual({ healthy: true, warnings: ['w: w is not well'] })
  })
})
