import { describe, expect, test } from 'vitest'
import { evaluate } from './evaluate.ts'
import { renderProblems } from './problems.ts'
import type { Module } from './words.ts'

function problemsOf(...modules: Module[]): string {
  return renderProblems(evaluate({ name: 'test', lockTarget: 'rootfs', modules }).problems ?? [])
}

function evaluated(...modules: Module[]) {
  return evaluate({ name: 'test', lockTarget: 'rootfs', modules }).evaluated!
}

const lan = { name: 'lan' }
const wan = { name: 'wan' }

describe('two modules that disagree are told by name', () => {
  const file = { files: { '/etc/hosts': { body: '' } } }
  const unit = { units: { 'dns.service': { Service: { ExecStart: '/usr/bin/true' } } } }
  const cases: readonly [string, readonly Module[], string][] = [
    [
      'the same file',
      [
        { ...lan, ...file },
        { ...wan, ...file },
      ],
      '/etc/hosts: declared by module lan and by module wan\n  let one of them own it',
    ],
    [
      'the same unit',
      [
        { ...lan, ...unit },
        { ...wan, ...unit },
      ],
      'unit dns.service: declared by module lan and by module wan\n  let one of them own it',
    ],
    [
      'a mount and a unit of its name',
      [
        { ...lan, mounts: { '/data': { what: '/dev/x', type: 'f2fs' } } },
        { ...wan, units: { 'data.mount': {} } },
      ],
      'unit data.mount: declared by module lan and by module wan\n  let one of them own it',
    ],
    [
      'a user name',
      [
        { ...lan, users: { dns: { uid: 101 } } },
        { ...wan, users: { dns: { uid: 102 } } },
      ],
      'user dns: declared by module lan and by module wan\n  let one of them own it',
    ],
    [
      'a user id',
      [
        { ...lan, groups: { all: { gid: 5 } }, users: { dns: { uid: 101, group: 'all' } } },
        { ...wan, users: { ntp: { uid: 101, group: 'all' } } },
      ],
      'user ntp: id 101 of module wan is also the id of user dns (module lan)\n  give one of them another id',
    ],
    [
      'a group id',
      [
        { ...lan, groups: { dns: { gid: 7 } } },
        { ...wan, groups: { ntp: { gid: 7 } } },
      ],
      'group ntp: id 7 of module wan is also the id of group dns (module lan)\n  give one of them another id',
    ],
    [
      'subordinate ids',
      [
        { ...lan, users: { one: { uid: 101, subordinateIds: 100_000 } } },
        { ...wan, users: { two: { uid: 102, subordinateIds: 165_535 } } },
      ],
      'user two: its subordinate ids overlap those of user one',
    ],
    [
      'a sysctl, even with the same value',
      [
        { ...lan, sysctls: { 'net.ipv4.ip_forward': 0 } },
        { ...wan, sysctls: { 'net.ipv4.ip_forward': 0 } },
      ],
      'net.ipv4.ip_forward: sysctl is set by module lan and by module wan\n  let one of them own it',
    ],
    [
      'enabled and masked',
      [
        { ...lan, enable: ['dns.service'] },
        { ...wan, mask: { 'dns.service': 'not wanted' } },
      ],
      'dns.service: module lan enables this unit and module wan masks it\n  decide which of them is right',
    ],
    [
      'asked for and omitted',
      [
        { ...lan, packages: ['perl-base'] },
        { ...wan, omitPackages: { 'perl-base': 'no scripts' } },
      ],
      'perl-base: module lan asks for this package and module wan omits it\n  decide which of them is right',
    ],
    [
      'a folder with two owners',
      [
        { ...lan, directories: { '/srv': {} } },
        { ...wan, directories: { '/srv': { mode: 0o700 } } },
      ],
      '/srv: declared by module lan and by module wan\n  let one of them own it',
    ],
    [
      'a file where another needs a folder',
      [
        { ...lan, files: { '/srv/dns': { body: '' } } },
        { ...wan, files: { '/srv/dns/zone': { body: '' } } },
      ],
      '/srv/dns: a file of module lan, but module wan puts /srv/dns/zone below it',
    ],
    ['two of one name', [lan, lan], 'module lan: there are two modules of this name'],
  ]
  test.each(cases)('%s', (_, modules, expected) => {
    expect(problemsOf(...modules)).toBe(expected)
  })
})

describe('one module that is wrong in itself', () => {
  const cases: readonly [string, Module, string][] = [
    [
      'a group nobody declares',
      { ...lan, users: { dns: { uid: 101, groups: ['adm'] } } },
      'user dns: module lan puts it into group adm, which no module declares\n  declare it under `groups`',
    ],
    [
      'an impossible id',
      { ...lan, groups: { dns: { gid: 70_000 } } },
      'group dns: module lan gives it the id 70000',
    ],
    [
      'a link as a folder',
      { ...lan, files: { '/lib/x': { body: '' } } },
      '/lib/x: module lan: /lib is a link; write /usr/lib/x',
    ],
    [
      'a relative path',
      { ...lan, files: { 'etc/x': { body: '' } } },
      'etc/x: module lan: the path is not absolute',
    ],
    [
      'a path with dots',
      { ...lan, files: { '/etc/../x': { body: '' } } },
      '/etc/../x: module lan: the path is not normalised',
    ],
    [
      'no reason',
      { ...lan, leaveOut: { '/usr/share/doc/**': ' ' } },
      '/usr/share/doc/**: module lan gives no reason in `leaveOut`',
    ],
  ]
  test.each(cases)('%s', (_, module, expected) => {
    expect(problemsOf(module)).toBe(expected)
  })
})

test('all problems are told at once, in an order of their own', () => {
  const both = { files: { '/b': { body: '' }, '/a': { body: '' } } }
  expect(problemsOf({ ...lan, ...both }, { ...wan, ...both })).toBe(
    '/a: declared by module lan and by module wan\n  let one of them own it\n' +
      '/b: declared by module lan and by module wan\n  let one of them own it',
  )
})

describe('modules that agree', () => {
  test('share packages, folders and kernel modules', () => {
    const shared: Omit<Module, 'name'> = {
      packages: ['bash'],
      directories: { '/srv': {} },
      kernelModules: ['tun'],
    }
    const { packages, kernelModules } = evaluated(
      { ...lan, ...shared },
      { ...wan, ...shared, loadKernelModules: ['loop'] },
    )
    expect(packages).toEqual(['bash'])
    expect(kernelModules).toEqual(['loop', 'tun'])
  })

  test('write settings into one file, sorted', () => {
    const { claims } = evaluated({ ...lan, sysctls: { b: 2 } }, { ...wan, sysctls: { a: 1 } })
    const claim = claims.get('/usr/lib/sysctl.d/90-system.conf')
    expect(claim?.type === 'file' && claim.file.body).toBe('a = 1\nb = 2\n')
  })

  test('a mount becomes a unit that is enabled', () => {
    const { claims, enable } = evaluated({
      ...lan,
      mounts: { '/srv/my-data': { what: '/dev/x', type: 'f2fs', options: ['nofail', 'noatime'] } },
    })
    expect([...enable.keys()]).toEqual(['srv-my\\x2ddata.mount'])
    const claim = claims.get('/usr/lib/systemd/system/srv-my\\x2ddata.mount')
    expect(claim?.type === 'file' && claim.file.body).toBe(`[Unit]
Description=Mount of /srv/my-data
Before=local-fs.target

[Mount]
What=/dev/x
Where=/srv/my-data
Type=f2fs
Options=nofail,noatime

[Install]
WantedBy=local-fs.target
`)
  })

  test('a user brings a group of its name', () => {
    const { users, groups } = evaluated({
      ...lan,
      groups: { adm: { gid: 4 } },
      users: { dns: { uid: 101, groups: ['adm'] } },
    })
    expect(users.get('dns')).toMatchObject({ uid: 101, gid: 101, shell: '/usr/sbin/nologin' })
    expect(groups.get('adm')).toMatchObject({ gid: 4, members: ['dns'] })
  })
})
