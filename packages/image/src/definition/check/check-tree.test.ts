import { describe, expect, test } from 'vitest'
import { composeTree } from '../../tree/compose.ts'
import { packageOf } from '../../tree/test-trees.ts'
import { evaluate } from '../evaluate.ts'
import { renderProblems } from '../problems.ts'
import type { Module } from '../words.ts'
import { checkTree } from './index.ts'
import { makeElf } from './test-elf.ts'

type Paths = Parameters<typeof packageOf>[1]

const libraries = '/usr/lib/aarch64-linux-gnu'
const system = '/usr/lib/systemd/system'

/** A world that is whole: one program with its library, a shell, a target to boot. */
const whole: Paths = {
  '/lib': { link: 'usr/lib' },
  '/bin': { link: 'usr/bin' },
  '/usr/lib/ld-linux-aarch64.so.1': { link: 'aarch64-linux-gnu/ld.so' },
  [`${libraries}/ld.so`]: { body: makeElf({}), mode: 0o755 },
  [`${libraries}/libc.so.6`]: makeElf({}),
  '/usr/bin/dash': {
    body: makeElf({ interpreter: '/lib/ld-linux-aarch64.so.1', needed: ['libc.so.6'] }),
    mode: 0o755,
  },
  '/usr/bin/sh': { link: 'dash' },
  [`${system}/default.target`]: '[Unit]\nRequires=basic.target\n',
  [`${system}/basic.target`]: '[Unit]\nAfter=absent.target\n',
}

async function problemsOf(paths: Paths, module: Omit<Module, 'name'> = {}): Promise<string> {
  const accounts = { groups: { root: { gid: 0 } }, users: { root: { uid: 0, group: 'root' } } }
  const modules = [
    { name: 'accounts', ...accounts },
    { name: 'ours', ...module },
  ]
  const { evaluated, problems } = evaluate({ name: 't', lockTarget: 't', modules })
  if (evaluated === undefined) return renderProblems(problems)
  const packages = [packageOf('a', { ...whole, ...paths })]
  const composed = await composeTree({ evaluated, packages, parts: [], facts: {} })
  return renderProblems([...composed.problems, ...(await checkTree(composed.tree, evaluated))])
}

const booted = (text: string, more: Paths = {}): Paths => ({
  [`${system}/x.service`]: text,
  [`${system}/default.target.wants/x.service`]: { link: '../x.service' },
  ...more,
})
const addProgram = '\n  add the package that brings it, or mask the unit with the reason'

test('a whole tree has no problems', async () => {
  expect(await problemsOf({})).toBe('')
})

describe('programs and libraries', () => {
  const elf = (options: Parameters<typeof makeElf>[0]) => ({ body: makeElf(options), mode: 0o755 })
  test.each<[string, Paths, string]>([
    [
      'a missing library',
      { '/usr/bin/x': elf({ needed: ['libgone.so.1', 'libc.so.6'] }) },
      '/usr/bin/x: the library libgone.so.1 is missing (package a)\n  leave the program out too, or keep the package that brings the library',
    ],
    [
      'a library in a folder that the program names',
      {
        '/usr/bin/x': elf({
          interpreter: '/lib/ld-linux-aarch64.so.1',
          needed: ['libown.so'],
          runpath: '$ORIGIN/../lib/own',
        }),
        '/usr/lib/own/libown.so': elf({}),
      },
      '',
    ],
    [
      'a missing dynamic linker',
      { '/usr/bin/x': elf({ interpreter: '/lib/ld-musl.so.1' }) },
      '/usr/bin/x: its interpreter /lib/ld-musl.so.1 is missing (package a)',
    ],
    [
      'a script without its interpreter',
      { '/usr/bin/x': { body: '#!/usr/bin/perl -w\n', mode: 0o755 } },
      '/usr/bin/x: its interpreter /usr/bin/perl is missing (package a)\n  leave the script out too, or add the package that brings the interpreter',
    ],
    [
      'a script that env should find',
      { '/usr/bin/env': elf({}), '/usr/bin/x': { body: '#!/usr/bin/env python3\n', mode: 0o755 } },
      '/usr/bin/x: its interpreter python3 is missing (package a)\n  leave the script out too, or add the package that brings the interpreter',
    ],
    ['a text that starts like a script but is never run', { '/usr/share/x': '#!/usr/bin/perl\n' }, ''],
  ])('%s', async (_, paths, expected) => {
    expect(await problemsOf(paths)).toBe(expected)
  })
})

describe('units that a boot starts', () => {
  test.each<[string, Paths, string]>([
    [
      'a missing program',
      booted('[Service]\nExecStart=/usr/bin/gone --now\n'),
      `unit x.service: ExecStart= runs /usr/bin/gone, which is missing (package a)${addProgram}`,
    ],
    [
      'a program that cannot be executed',
      booted('[Service]\nExecReload=!/usr/bin/x\n', { '/usr/bin/x': 'text' }),
      `unit x.service: ExecReload= runs /usr/bin/x, which is not executable (package a)${addProgram}`,
    ],
    ['a program found through links', booted('[Service]\nExecStart=/bin/sh -c "exec gone"\n'), ''],
    ['a program by name only', booted('[Service]\nExecStart=dash\n'), ''],
    ['a program that may fail', booted('[Service]\nExecStartPre=-/usr/bin/gone\n'), ''],
    [
      'a drop-in that replaces the missing program',
      booted('[Service]\nExecStart=/usr/bin/gone\n', {
        [`${system}/x.service.d/ours.conf`]: '[Service]\nExecStart=\nExecStart=/usr/bin/dash\n',
      }),
      '',
    ],
    [
      'a missing user',
      booted('[Service]\nExecStart=/usr/bin/dash\nUser=gone\n'),
      'unit x.service: User=gone, and there is no such account (package a)\n  declare it with a fixed id',
    ],
    [
      'a user of its own making',
      booted('[Service]\nExecStart=/usr/bin/dash\nUser=gone\nDynamicUser=yes\n'),
      '',
    ],
    [
      'a missing environment file',
      booted(
        '[Service]\nExecStart=/usr/bin/dash\nEnvironmentFile=/etc/gone\nEnvironmentFile=-/etc/optional\n',
      ),
      'unit x.service: EnvironmentFile=/etc/gone is missing (package a)\n  bring the file, or write a `-` in front of it if it may be missing',
    ],
    [
      'an environment file on /data',
      booted('[Service]\nExecStart=/usr/bin/dash\nEnvironmentFile=/data/x\n'),
      '',
    ],
    [
      'a demanded unit that is missing',
      booted('[Unit]\nRequires=gone.service dev-sda.device\nWants=also-gone.service\n'),
      'unit x.service: Requires: there is no unit gone.service (package a)',
    ],
    [
      'a program behind a socket',
      {
        [`${system}/default.target.wants/x.socket`]: { link: '../x.socket' },
        [`${system}/x.socket`]: '[Socket]\nListenStream=/run/x\nAccept=yes\n',
        [`${system}/x@.service`]: '[Service]\nExecStart=/usr/bin/gone\n',
      },
      `unit x@.service: ExecStart= runs /usr/bin/gone, which is missing (package a)${addProgram}`,
    ],
    [
      'a program behind a message on the bus',
      {
        '/usr/share/dbus-1/system-services/x.service': '[D-BUS Service]\nName=x\nSystemdService=y.service\n',
        [`${system}/y.service`]: '[Service]\nExecStart=/usr/bin/gone\n',
      },
      `unit y.service: ExecStart= runs /usr/bin/gone, which is missing (package a)${addProgram}`,
    ],
    ['a unit that nothing starts', { [`${system}/x.service`]: '[Service]\nExecStart=/usr/bin/gone\n' }, ''],
  ])('%s', async (_, paths, expected) => {
    expect(await problemsOf(paths)).toBe(expected)
  })
})

test('a unit of ours is checked even when nothing starts it, and so is its order', async () => {
  const units = {
    'own.service': { Unit: { After: 'typo.service' }, Service: { ExecStart: '/usr/bin/gone' } },
  }
  expect(await problemsOf({}, { units })).toBe(
    `unit own.service: After: there is no unit typo.service (module ours)\nunit own.service: ExecStart= runs /usr/bin/gone, which is missing (module ours)${addProgram}`,
  )
})

test('demanding a masked unit is a problem', async () => {
  const paths = booted('[Unit]\nBindsTo=y.service\n', { [`${system}/y.service`]: '' })
  expect(await problemsOf(paths, { mask: { 'y.service': 'not here' } })).toBe(
    'unit x.service: BindsTo: unit y.service is masked (package a, module ours)',
  )
})

describe('files', () => {
  test.each<[string, Paths, string]>([
    [
      'a link to nothing',
      { '/etc/x': { link: '../usr/share/gone' } },
      '/etc/x: leads to ../usr/share/gone, which is missing (package a)\n  leave the link out too, or keep what it leads to',
    ],
    [
      'a link to what a running machine has',
      { '/etc/x': { link: '../run/x' }, '/etc/y': { link: '/proc/self/mounts' } },
      '',
    ],
    [
      'a link in a circle',
      { '/etc/x': { link: 'x' } },
      '/etc/x: leads to x, which is missing (package a)\n  leave the link out too, or keep what it leads to',
    ],
    [
      'an owner that is nobody',
      { '/etc/x': { uid: 77, gid: 78 } },
      "/etc/x: belongs to group id 78, which is nobody's (package a)\n/etc/x: belongs to user id 77, which is nobody's (package a)",
    ],
    [
      'setuid without leave',
      { '/usr/bin/x': { mode: 0o4755 } },
      '/usr/bin/x: is setuid (package a), and no module allows it\n  name it in `unprivileged`, or in `privileged` with the reason',
    ],
    ['writable by everybody', { '/etc/x': { mode: 0o666 } }, '/etc/x: everybody may write it (package a)'],
    [
      'a private key',
      { '/etc/x': '-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n' },
      '/etc/x: holds a private key (package a)\n  keys are made on the device and live on /data',
    ],
    [
      'a password',
      { '/etc/shadow-': 'root:$y$j9T$abc$def:19000::::::\n' },
      '/etc/shadow-: holds a password of root (package a)\n  nobody has a password; users come with the configuration, by SSH key',
    ],
    ['a text about keys', { '/etc/x': 'begins with -----BEGIN PRIVATE KEY-----, they say\n' }, ''],
  ])('%s', async (_, paths, expected) => {
    expect(await problemsOf(paths)).toBe(expected)
  })

  test('a privilege that is allowed must be there', async () => {
    const privileged = { '/usr/bin/dash': 'tests' }
    expect(await problemsOf({}, { privileged })).toBe(
      '/usr/bin/dash: module ours lets it be privileged, but it is not',
    )
  })
})

describe('logins', () => {
  test.each<[string, Paths, string]>([
    [
      'a PAM module',
      {
        '/etc/pam.d/x':
          'auth [success=1 default=ignore] pam_gone.so nullok\n-session optional pam_maybe.so\n',
      },
      '/etc/pam.d/x: names pam_gone.so, which is missing (package a)',
    ],
    [
      'an include',
      { '/etc/pam.d/x': '@include common-gone\n' },
      '/etc/pam.d/x: includes common-gone, which is missing (package a)',
    ],
    [
      'a name service',
      { '/etc/nsswitch.conf': 'passwd: files gone [NOTFOUND=return]\nhosts: files dns\n' },
      '/etc/nsswitch.conf: names the service gone, whose libnss_gone.so.2 is missing',
    ],
  ])('%s', async (_, paths, expected) => {
    expect(await problemsOf(paths)).toBe(expected)
  })
})
