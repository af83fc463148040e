import { expect, test } from 'vitest'
import { bootFigures, durationMs, parseCriticalChain, parseUnitCosts, readBytes } from './boot-figures.ts'

const shown = `Id=activation.service
ExecStart={ path=/usr/bin/atomixctl ; argv[]=/usr/bin/atomixctl activate ; ignore_errors=no }
CPUUsageNSec=2500000000

Id=never.service
CPUUsageNSec=[not set]

Id=system-log.service
ExecStart={ path=/usr/sbin/rsyslogd ; argv[]=/usr/sbin/rsyslogd -n ; ignore_errors=no }
CPUUsageNSec=500000000

Id=a.service
ExecStart={ path=/bin/sh ; argv[]=/bin/sh ; ignore_errors=no }
CPUUsageNSec=3000000000

Id=old.service
CPUUsageNSec=18446744073709551615
`

const said = `The time when unit became active or started is printed after the "@" character.
The time the unit took to start is printed after the "+" character.

multi-user.target @1min 50.751s
└─ssh.service @1min 49.574s +1.109s
  └─activation.service @1min 39.406s +10.092s
    └─basic.target @1min 39.122s
      └─system.slice
        └─-.slice
`

test('units with what they have used, dearest first', () => {
  expect(parseUnitCosts(shown)).toEqual([
    { unit: 'a.service', cpuMs: 3000, node: false },
    { unit: 'activation.service', cpuMs: 2500, node: true },
    { unit: 'system-log.service', cpuMs: 500, node: false },
  ])
})

test('what was read from a device', () => {
  const diskstats = ' 253       0 vda 1027 404 133117 610 103\n 254       0 dm-0 286 0 116528 3708 0 0 0\n'
  expect(readBytes(diskstats, 'dm-0')).toBe(116_528 * 512)
  expect(readBytes(diskstats, 'dm-1')).toBe(0)
})

test('the chain of what was waited for', () => {
  expect(parseCriticalChain(said)).toEqual([
    { unit: 'multi-user.target', tookMs: 0 },
    { unit: 'ssh.service', tookMs: 1109 },
    { unit: 'activation.service', tookMs: 10_092 },
    { unit: 'basic.target', tookMs: 0 },
    { unit: 'system.slice', tookMs: 0 },
    { unit: '-.slice', tookMs: 0 },
  ])
})

test.each([
  ['1min 39.406s', 99_406],
  ['590ms', 590],
  ['2h 1min', 7_260_000],
  ['', 0],
])('%s', (text, ms) => {
  expect(durationMs(text)).toBeCloseTo(ms)
})

test('shares are of what the product does, without the shell of the driver', () => {
  const figures = bootFigures({
    costs: parseUnitCosts(shown),
    chain: parseCriticalChain(said),
    systemCpuMs: 33_000,
    ownUnits: new Set(['activation.service', 'system-log.service']),
    driverUnits: new Set(['a.service']),
  })
  expect(figures).toMatchObject({
    cpuMs: 30_000,
    ours: { ms: 3000, share: 0.1 },
    node: { ms: 2500, share: 2500 / 30_000 },
    chain: { totalMs: 11_201, ours: { ms: 10_092 } },
  })
})
