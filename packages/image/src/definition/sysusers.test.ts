import { describe, expect, test } from 'vitest'
import { evaluate } from './evaluate.ts'
import { renderProblems } from './problems.ts'
import { checkSysusers, parseSysusers } from './sysusers.ts'
import type { Module } from './words.ts'

test('the forms of sysusers.d', () => {
  const lines = parseSysusers(`# comment

u root 0 - /root /bin/bash
u! systemd-network - "systemd Network Management"
u sshd -:nogroup "sshd user" /run/sshd
u sync 4:65534 - /bin /bin/sync
g render -
g tty 5 -
m chrony tty
r - 500-900
`)
  expect(lines).toEqual([
    { kind: 'user', name: 'root', uid: 0 },
    { kind: 'user', name: 'systemd-network' },
    { kind: 'user', name: 'sshd', group: 'nogroup' },
    { kind: 'user', name: 'sync', uid: 4, group: 65534 },
    { kind: 'group', name: 'render' },
    { kind: 'group', name: 'tty', gid: 5 },
    { kind: 'member', user: 'chrony', group: 'tty' },
  ])
})

describe('what packages expect must be declared', () => {
  const declared: Module = {
    name: 'accounts',
    groups: { tty: { gid: 6 }, nogroup: { gid: 65534 } },
    users: { root: { uid: 1 }, sshd: { uid: 106 } },
  }
  test.each([
    [
      'u messagebus -',
      'user messagebus: package dbus expects it, and no module declares it\n  declare it under `users` with a fixed id: install scripts never run',
    ],
    [
      'g render -',
      'group render: package dbus expects it, and no module declares it\n  declare it under `groups` with a fixed id: install scripts never run',
    ],
    ['u root 0', 'user root: package dbus expects the id 0, module accounts gives it 1'],
    ['g tty 5', 'group tty: package dbus expects the id 5, module accounts gives it 6'],
    [
      'u sshd -:nogroup',
      'user sshd: package dbus expects nogroup as its group, module accounts gives it 106',
    ],
    ['m sshd tty', 'user sshd: package dbus expects it to be in group tty\n  add the group to its `groups`'],
    ['u sshd -', ''],
  ])('%s', (text, expected) => {
    const { evaluated } = evaluate({ name: 'test', lockTarget: 'rootfs', modules: [declared] })
    const lines = parseSysusers(text).map((line) => ({ origin: 'package dbus', line }))
    expect(renderProblems(checkSysusers(lines, evaluated!))).toBe(expected)
  })
})
