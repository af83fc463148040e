import { describe, expect, test } from 'vitest'
import { applyChange, parseBootState, renderBootChange } from './boot-state.ts'
import { confirm } from './confirm.ts'
import { parseCandidate, prepareInstall } from './prepare-install.ts'
import { noRecords, parseRecords, renderRecords } from './records.ts'
import { bootState, now, record, records, renderBootState } from './test-slots.ts'

describe("U-Boot's environment", () => {
  test('what is no order, count or state of ours is unknown', () => {
    const state = parseBootState(
      'BOOT_ORDER=B Z A\nBOOT_A_LEFT=x\nBOOT_B_LEFT=12\nSLOT_A_STATE=golden\nfoo\n=\n',
    )
    expect(state).toEqual({
      order: ['B', 'A'],
      left: { A: undefined, B: undefined },
      state: { A: undefined, B: undefined },
    })
  })

  test('a change is one script of what differs', () => {
    const before = bootState('A confirmed 8, B pending 2; B A')
    expect(renderBootChange(before, { left: { A: 9, B: 2 }, state: { B: undefined }, order: ['A'] })).toBe(
      'BOOT_A_LEFT=9\nSLOT_B_STATE=\nBOOT_ORDER=A\n',
    )
    expect(renderBootChange(before, { left: { A: 8 }, order: ['B', 'A'] })).toBe('')
  })
})

describe('records', () => {
  test('are read as they were written', () => {
    const kept = records(
      { A: record('confirmed', '1.0.0'), B: record('failed', '2.0.0', { reason: 'why' }) },
      {
        failedVersions: [{ version: '2.0.0', reason: 'why', time: now }],
        before: { version: '1.0.0', failing: [{ check: 'dnsmasq', message: 'm' }] },
      },
    )
    expect(parseRecords(renderRecords(kept))).toEqual(kept)
  })

  test('what is broken in them is left out', () => {
    for (const text of [undefined, '', '{', '[]', 'null', '{"format":2}']) {
      expect(parseRecords(text)).toEqual(noRecords)
    }
    const text = JSON.stringify({
      format: 1,
      slots: { A: { state: 'good', version: '1', since: now }, B: record('previous', '1.0.0') },
      failedVersions: [null, { version: 1 }, { version: '2.0.0', reason: 'r', time: now }],
      before: { version: '1.0.0', failing: [{}] },
    })
    expect(parseRecords(text)).toEqual(
      records(
        { B: record('previous', '1.0.0') },
        { failedVersions: [{ version: '2.0.0', reason: 'r', time: now }] },
      ),
    )
  })
})

describe('confirming', () => {
  test('there is one confirmed slot, and the one before it is the way back', () => {
    const boot = bootState('A confirmed 9, B pending 2; B A')
    const kept = records(
      { A: record('confirmed', '1.0.0'), B: record('pending', '2.0.0') },
      { failedVersions: [{ version: '2.0.0', reason: 'r', time: now }] },
    )
    const confirmed = confirm({ slot: 'B', version: '2.0.0', boot, records: kept, now })
    expect(renderBootState(applyChange(boot, confirmed.change))).toBe('A previous 9, B confirmed 9; B A')
    expect(confirmed.records).toEqual(
      records({ A: record('previous', '1.0.0'), B: { state: 'confirmed', version: '2.0.0', since: now } }),
    )
  })

  test('an empty slot stays out of the order', () => {
    const boot = bootState('A - 2, B - 0; A')
    const { change } = confirm({ slot: 'A', version: '1.0.0', boot, records: noRecords, now })
    expect(renderBootState(applyChange(boot, change))).toBe('A confirmed 9, B - 0; A')
  })
})

test('a bundle without a proper release file is nothing that could be installed', () => {
  expect(parseCandidate('{"compatible":"c","version":"1.0.0","more":1}')).toEqual({
    compatible: 'c',
    version: '1.0.0',
  })
  for (const text of [undefined, '', 'null', '[]', '{"compatible":"c"}', '{"compatible":1,"version":"1"}']) {
    expect(parseCandidate(text)).toBeUndefined()
  }
})

describe('before an installation', () => {
  const situation = {
    slot: 'A' as const,
    runningVersion: '1.0.0',
    systemCompatible: 'atomixos-rock64',
    candidate: { compatible: 'atomixos-rock64', version: '1.1.0' },
    boot: bootState('A confirmed 9, B previous 9; A B'),
    records: records({ A: record('confirmed', '1.0.0'), B: record('previous', '0.9.0') }),
    before: { version: '1.0.0', failing: [{ check: 'container:x', message: 'm' }] },
    allowedByHand: false,
    now,
  }
  const failedVersions = [{ version: '1.1.0', reason: 'dnsmasq: down', time: now }]
  const refused = (change: object) => {
    const decision = prepareInstall({ ...situation, ...change })
    return decision.install ? 'installed' : decision.reason
  }

  test('the target is out of the order, without tries and pending, in one change', () => {
    const decision = prepareInstall(situation)
    if (!decision.install) throw new Error(decision.reason)
    expect(renderBootChange(situation.boot, decision.change)).toBe(
      'BOOT_B_LEFT=0\nSLOT_B_STATE=pending\nBOOT_ORDER=A\n',
    )
    expect(decision.records.slots.B).toEqual({ state: 'pending', version: '1.1.0', since: now })
    expect(decision.records.before).toEqual(situation.before)
  })

  test.each([
    [
      'another board',
      { candidate: { compatible: 'atomixos-x', version: '1.1.0' } },
      'it is for "atomixos-x", this is "atomixos-rock64"',
    ],
    [
      'no version',
      { candidate: { compatible: 'atomixos-rock64', version: '' } },
      'its version "" is not a semantic version',
    ],
    [
      'an unconfirmed system',
      { boot: bootState('A pending 2, B confirmed 9; A B') },
      'the running slot A is not confirmed yet: the other slot may be the only good one',
    ],
    [
      'an older version',
      { candidate: { compatible: 'atomixos-rock64', version: '1.0.0-rc.1' } },
      'version 1.0.0-rc.1 is older than 1.0.0, which runs',
    ],
    [
      'a version that was given up',
      { records: records({}, { failedVersions }) },
      `version 1.1.0 was given up on ${now}: dnsmasq: down`,
    ],
    ['the same version', { candidate: { compatible: 'atomixos-rock64', version: '1.0.0' } }, 'installed'],
    [
      'a version that was given up, by hand',
      { records: records({}, { failedVersions }), allowedByHand: true },
      'installed',
    ],
    [
      'an older version, by hand',
      { candidate: { compatible: 'atomixos-rock64', version: '0.5.0' }, allowedByHand: true },
      'installed',
    ],
    [
      'another board, by hand',
      { candidate: { compatible: 'x', version: '1.1.0' }, allowedByHand: true },
      'it is for "x", this is "atomixos-rock64"',
    ],
  ])('%s', (_, change, expected) => {
    expect(refused(change)).toBe(expected)
  })
})
