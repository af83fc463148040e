import { describe, expect, test } from 'vitest'
import { decide, type Situation } from './decide.ts'

function decideWith(offered: string, other: Partial<Situation> = {}): string {
  const decision = decide({
    runningVersion: '1.2.3',
    runningSlot: 'confirmed',
    answer: { version: offered, bundleUrl: 'https://updates.example/b' },
    failedVersions: [],
    ...other,
  })
  return decision.action === 'install' ? 'install' : decision.reason
}

test.each([
  ['1.2.4', '1.2.3'],
  ['1.10.0', '1.9.9'],
  ['1.2.3', '1.2.3-rc.2'],
  ['1.2.4-rc.1', '1.2.3'],
  ['1.2.4-rc.10', '1.2.4-rc.9'],
])('%s is installed over %s', (offered, runningVersion) => {
  expect(decideWith(offered, { runningVersion })).toBe('install')
})

test.each([
  ['1.2.3', '1.2.3', 'version 1.2.3 is not newer: the device runs 1.2.3'],
  ['1.2.3+9', '1.2.3+8', 'version 1.2.3+9 is not newer: the device runs 1.2.3+8'],
  ['1.2.2', '1.2.3', 'version 1.2.2 is older than the running 1.2.3; downgrades are never installed'],
  [
    '1.2.3-rc.1',
    '1.2.3',
    'version 1.2.3-rc.1 is older than the running 1.2.3; downgrades are never installed',
  ],
  ['2.0.0', 'unknown', 'the running version "unknown" is no semantic version; nothing can be newer'],
])('%s is not installed over %s', (offered, runningVersion, reason) => {
  expect(decideWith(offered, { runningVersion })).toBe(reason)
})

describe('nothing is installed', () => {
  test('while the running slot may still have to fall back to the other one', () => {
    expect(decideWith('2.0.0', { runningSlot: 'pending' })).toBe(
      'the running slot is not confirmed yet; the other slot is what it would fall back to',
    )
  })
  test('that has failed here before, until a newer one comes', () => {
    const failedVersions = [
      { version: '1.3.0', reason: 'dnsmasq.service is\nnot active', time: '2026-11-01T10:00:00.000Z' },
    ]
    expect(decideWith('1.3.0', { failedVersions })).toBe(
      'version 1.3.0 failed here before (dnsmasq.service is not active; 2026-11-01T10:00:00.000Z); ' +
        'only by hand is it installed again',
    )
    expect(decideWith('1.3.1', { failedVersions })).toBe('install')
  })
  test('that waits for the reboot already, but something newer is', () => {
    const waitingVersion = '1.4.0'
    expect(decideWith('1.4.0', { waitingVersion })).toBe(
      'version 1.4.0 is already installed and waits for the reboot',
    )
    expect(decideWith('1.3.0', { waitingVersion })).toBe(
      'version 1.4.0 is installed and waits for the reboot; 1.3.0 is not newer',
    )
    expect(decideWith('1.4.1', { waitingVersion })).toBe('install')
  })
})
