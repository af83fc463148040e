import { describe, expect, test } from 'vitest'
import { bootState, now, record, records, settled } from './test-slots.ts'

describe('a confirmed slot', () => {
  test('has its tries restored when it has come up: the plug may be pulled again and again', () => {
    const { boot, events } = settled({ slot: 'A', boot: bootState('A confirmed 6, B previous 9; A B') })
    expect(boot).toBe('A confirmed 9, B previous 9; A B')
    expect(events).toEqual([])
  })

  test('that U-Boot revived is confirmed again, and that is told', () => {
    const { boot, events } = settled({ slot: 'A', boot: bootState('A revived 0, B failed 0; A') })
    expect(boot).toBe('A confirmed 9, B failed 0; A')
    expect(events).toEqual([
      'revived A: no slot had tries left; the confirmed one was given one more and came up',
    ])
  })

  test('that could not start any more is given up, and the one before it is confirmed', () => {
    const {
      boot,
      events,
      records: after,
    } = settled({
      slot: 'A',
      boot: bootState('A previous 8, B confirmed 0; B A'),
      records: records({ A: record('previous', '1.0.0'), B: record('confirmed', '2.0.0') }),
    })
    expect(boot).toBe('A confirmed 9, B failed 0; A')
    expect(events).toEqual(['rolled-back B: it was confirmed, and then could not start any more'])
    expect(after.failedVersions).toEqual([
      { version: '2.0.0', reason: 'it was confirmed, and then could not start any more', time: now },
    ])
    expect(after.slots.A).toEqual({ state: 'confirmed', version: '1.0.0', since: now })
  })

  test('there is one: the other becomes the way back when somebody has changed the order by hand', () => {
    const { boot } = settled({ slot: 'A', boot: bootState('A previous 9, B confirmed 9; A B') })
    expect(boot).toBe('A confirmed 9, B previous 9; A B')
  })
})

describe('a pending slot', () => {
  test('spends its tries: they are not restored', () => {
    const { boot, events } = settled({ slot: 'B', boot: bootState('A confirmed 9, B pending 2; B A') })
    expect(boot).toBe('A confirmed 9, B pending 2; B A')
    expect(events).toEqual([])
  })

  test('that waits for its first start is left alone', () => {
    const { boot, events } = settled({ slot: 'A', boot: bootState('A confirmed 8, B pending 3; B A') })
    expect(boot).toBe('A confirmed 9, B pending 3; B A')
    expect(events).toEqual([])
  })

  test('without tries is given up with the failed check as the reason, and its version is remembered', () => {
    const failure = { check: 'dnsmasq', reason: 'dnsmasq.service is failed', time: now }
    const {
      boot,
      events,
      records: after,
    } = settled({
      slot: 'A',
      boot: bootState('A confirmed 8, B pending 0; B A'),
      records: records({ B: record('pending', '2.0.0', { failure }) }),
    })
    expect(boot).toBe('A confirmed 9, B failed 0; A')
    expect(events).toEqual(['rolled-back B: dnsmasq: dnsmasq.service is failed'])
    expect(after.failedVersions).toEqual([
      { version: '2.0.0', reason: 'dnsmasq: dnsmasq.service is failed', time: now },
    ])
  })

  test('that never came up has that as its reason', () => {
    const { events } = settled({
      slot: 'A',
      boot: bootState('A confirmed 8, B pending 0; B A'),
      records: records({ B: record('pending', '2.0.0') }),
    })
    expect(events).toEqual([
      'rolled-back B: it did not come up: a panic, a hang or power cuts used up its tries',
    ])
  })

  test('whose installation was cut off is not started, and its version may be installed again', () => {
    const {
      boot,
      events,
      records: after,
    } = settled({
      slot: 'A',
      boot: bootState('A confirmed 8, B pending 0; A'),
      records: records({ A: record('confirmed', '1.0.0'), B: record('pending', '2.0.0') }),
    })
    expect(boot).toBe('A confirmed 9, B failed 0; A')
    expect(events).toEqual(['install-failed B: the installation did not come to its end'])
    expect(after.failedVersions).toEqual([])
  })
})

describe('a fresh flash', () => {
  test('has an empty slot B, whatever an earlier life of the board has left in the environment', () => {
    const { boot, records: after } = settled({
      slot: 'A',
      freshFlash: true,
      boot: bootState('A failed 1, B confirmed 9; B A'),
      records: records(
        { B: record('confirmed', '9.0.0') },
        { failedVersions: [{ version: '1.0.0', reason: '', time: now }] },
      ),
    })
    expect(boot).toBe('A - 3, B - 0; A')
    expect(after).toEqual(records({}))
  })

  test('that is not provisioned yet can be started as often as one likes, and is not confirmed', () => {
    expect(settled({ slot: 'A', boot: bootState('A - 1, B - 0; A') }).boot).toBe('A - 3, B - 0; A')
  })
})

describe('a lost environment', () => {
  test('the record of the running version tells that it was confirmed', () => {
    const { boot } = settled({
      slot: 'A',
      boot: bootState('A - 2, B - 3; A B'),
      records: records({ A: record('confirmed', '1.0.0') }),
    })
    expect(boot).toBe('A confirmed 9, B - 3; A B')
  })

  test('a record of another version says nothing', () => {
    const { boot } = settled({
      slot: 'A',
      boot: bootState('A - 2, B - 3; A B'),
      records: records({ A: record('confirmed', '0.9.0') }),
    })
    expect(boot).toBe('A - 3, B - 3; A B')
  })

  test('a pending slot stays pending', () => {
    const { boot } = settled({
      slot: 'B',
      boot: bootState('A - 3, B - 2; B A'),
      records: records({ B: record('pending', '1.0.0') }),
    })
    expect(boot).toBe('A - 3, B pending 2; B A')
  })
})

test('a slot that was given up and is all that starts may start again, and is not confirmed by that', () => {
  expect(settled({ slot: 'B', boot: bootState('A failed 0, B failed 0; A') }).boot).toBe(
    'A failed 0, B failed 3; A',
  )
})
