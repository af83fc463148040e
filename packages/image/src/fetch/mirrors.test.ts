import { describe, expect, test } from 'vitest'
import { addressesOf, chooseMirrors } from './mirrors.ts'

const host =
  (...uris: string[]) =>
  () =>
    uris.map((uri) => ({ uri, suites: ['trixie'] }))

describe('mirrors', () => {
  test.each([
    [
      'come from the apt sources, third parties left aside',
      {},
      host('https://tools.example/apt', 'http://a.example/debian/', 'http://s.example/debian-security'),
      {
        debian: 'http://a.example/debian',
        'debian-security': 'http://s.example/debian-security',
        snapshot: undefined,
      },
    ],
    [
      'have the security archive beside them where the sources name none',
      {},
      host('https://a.example/mirrors/debian'),
      {
        debian: 'https://a.example/mirrors/debian',
        'debian-security': 'https://a.example/mirrors/debian-security',
        snapshot: undefined,
      },
    ],
    [
      'are what the environment says, security included, whatever the sources say',
      { ATOMIXOS_DEBIAN_MIRROR: 'http://m.example/debian/', ATOMIXOS_DEBIAN_SNAPSHOT: 'http://old.example' },
      host('http://a.example/debian', 'http://s.example/debian-security'),
      {
        debian: 'http://m.example/debian',
        'debian-security': 'http://m.example/debian-security',
        snapshot: 'http://old.example',
      },
    ],
    [
      'may have their security archive named apart',
      {
        ATOMIXOS_DEBIAN_MIRROR: 'http://m.example/d',
        ATOMIXOS_DEBIAN_SECURITY_MIRROR: 'http://n.example/sec',
      },
      host(),
      { debian: 'http://m.example/d', 'debian-security': 'http://n.example/sec', snapshot: undefined },
    ],
  ])('%s', (_, env, sources, expected) => {
    expect(chooseMirrors(env, sources)).toEqual(expected)
  })

  test('are asked for when nothing names one', () => {
    expect(() => chooseMirrors({}, host('cdrom:[Debian]/', 'https://tools.example/apt'))).toThrow(
      'no Debian mirror is known: the apt sources of this machine name none',
    )
  })
})

test('addresses keep what versions are made of, and end with the snapshot archive in both layouts', () => {
  const mirrors = {
    debian: 'http://m.example/debian',
    'debian-security': '',
    snapshot: 'http://old.example/archive',
  }
  const file = { archive: 'debian', path: 'pool/main/p/p_1%3a2.0+ds~1_all.deb' } as const
  expect(addressesOf(mirrors, file, 1_700_000_000)).toEqual([
    'http://m.example/debian/pool/main/p/p_1%253a2.0+ds~1_all.deb',
    'http://old.example/archive/debian/20231114T221320Z/pool/main/p/p_1%253a2.0+ds~1_all.deb',
    'http://old.example/archive/debian/pool/main/p/p_1%253a2.0+ds~1_all.deb',
  ])
})
