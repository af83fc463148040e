import type { DerivedUser } from '@atomixos/config/operator/index.ts'
import { describe, expect, test } from 'vitest'
import { type Access, type AccountFiles, lockedOut, numberOperators, withOperators } from './accounts.ts'

const image: AccountFiles = {
  passwd: 'root:x:0:0:root:/root:/bin/bash\nappsvc:x:900:900:rootless:/data/x:/usr/sbin/nologin\n',
  group: 'root:x:0:\nadm:x:4:syslog\nsudo:x:27:\nappsvc:x:900:\nsystemd-journal:x:999:\n',
  shadow: 'root:!*:::::::\nappsvc:!*:::::::\n',
  gshadow: 'root:!*::\nadm:!*::syslog\nsudo:!*::\n',
}

const user = (name: string, isAdmin = false): DerivedUser => ({
  name,
  isAdmin,
  shell: isAdmin ? 'zsh' : 'bash',
})

describe('account files', () => {
  test('operators come after the accounts of the image; administrators are in their groups', () => {
    const files = withOperators(image, [
      { ...user('alice', true), id: 2000 },
      { ...user('bob'), id: 2001 },
    ])
    expect(files.passwd).toBe(
      `${image.passwd}alice:x:2000:2000:operator:/data/home/alice:/usr/bin/zsh\n` +
        'bob:x:2001:2001:operator:/data/home/bob:/usr/bin/bash\n',
    )
    expect(files.group).toBe(
      'root:x:0:\nadm:x:4:syslog,alice\nsudo:x:27:alice\nappsvc:x:900:\nsystemd-journal:x:999:alice\n' +
        'alice:x:2000:\nbob:x:2001:\n',
    )
    // Neither a password nor a locked account.
    expect(files.shadow).toBe(`${image.shadow}alice:*:::::::\nbob:*:::::::\n`)
    expect(files.gshadow).toBe('root:!*::\nadm:!*::syslog,alice\nsudo:!*::alice\nalice:!*::\nbob:!*::\n')
  })

  test('whatever was there before, the same operators give the same files, and none give the image back', () => {
    const some = withOperators(image, [{ ...user('alice', true), id: 2000 }])
    const others = [
      { ...user('bob', true), id: 2001 },
      { ...user('carol'), id: 2002 },
    ]
    expect(withOperators(some, others)).toEqual(withOperators(image, others))
    expect(withOperators(withOperators(some, others), [])).toEqual(image)
  })

  test('an administrator who is none any more leaves the groups', () => {
    const before = withOperators(image, [{ ...user('alice', true), id: 2000 }])
    expect(withOperators(before, [{ ...user('alice'), id: 2000 }]).group).toContain('sudo:x:27:\n')
  })
})

describe('ids', () => {
  test('a home keeps its id, whoever else comes and goes', () => {
    const homes = new Map([
      ['alice', 2000],
      ['bob', 2003],
    ])
    const numbered = numberOperators([user('anna'), user('bob'), user('carol')], homes)
    expect(numbered.map(({ name, id }) => [name, id])).toEqual([
      ['anna', 2001],
      ['bob', 2003],
      ['carol', 2002],
    ])
  })

  test('a home that belongs to root or to the image is nobody’s', () => {
    expect(numberOperators([user('alice')], new Map([['alice', 0]]))[0]!.id).toBe(2000)
    expect(numberOperators([user('alice')], new Map([['alice', 900]]))[0]!.id).toBe(2000)
  })
})

describe('who is out', () => {
  const access = (isAdmin: boolean, keys: string): Access => ({ isAdmin, keys })
  const before = new Map([['alice', access(true, 'ssh-ed25519 AAAA alice@home\n')]])

  test.each([
    ['is gone', new Map<string, Access>(), ['alice']],
    ['is no administrator any more', new Map([['alice', access(false, 'ssh-ed25519 AAAA')]]), ['alice']],
    ['has another key', new Map([['alice', access(true, 'ssh-ed25519 BBBB')]]), ['alice']],
    ['has no key any more', new Map([['alice', access(true, '')]]), ['alice']],
    ['has another comment at the key', new Map([['alice', access(true, 'ssh-ed25519 AAAA new')]]), []],
  ])('who %s', (_, after, out) => {
    expect(lockedOut(before, after)).toEqual(out)
  })

  test('who becomes an administrator stays', () => {
    expect(lockedOut(new Map([['b', access(false, 'k v')]]), new Map([['b', access(true, 'k v')]]))).toEqual(
      [],
    )
  })
})
