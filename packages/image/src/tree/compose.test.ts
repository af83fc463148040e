import { describe, expect, test } from 'vitest'
import { evaluate } from '../definition/evaluate.ts'
import { renderProblems } from '../definition/problems.ts'
import type { Module } from '../definition/words.ts'
import { composeTree } from './compose.ts'
import type { PackageTree } from './merge-packages.ts'
import { packageOf } from './test-trees.ts'
import type { Tree } from './tree.ts'

const root: Module = { name: 'accounts', users: { root: { uid: 0 } } }

async function compose(
  module: Omit<Module, 'name'>,
  packages: PackageTree[] = [],
  parts: PackageTree[] = [],
) {
  const { evaluated } = evaluate({ name: 't', lockTarget: 't', modules: [root, { name: 'lan', ...module }] })
  const facts = { version: '1.2.3' }
  const composed = await composeTree({ evaluated: evaluated!, packages, parts, facts })
  return { ...composed, text: renderProblems(composed.problems) }
}

function textAt(tree: Tree, path: string): string | undefined {
  const node = tree.get(path)
  return node?.type === 'file' && node.content.kind === 'bytes'
    ? Buffer.from(node.content.bytes).toString()
    : undefined
}

const linkTo = (target: string) => expect.objectContaining({ type: 'symlink', target })

describe('packages', () => {
  test('are laid over each other; folders merge, equal files may come twice, /lib is /usr/lib', async () => {
    const { tree, text } = await compose({}, [
      packageOf('a', { '/lib/x': 'same', '/srv': { folder: 0o755 } }),
      packageOf('b', { '/usr/lib/x': 'same', '/srv': { folder: 0o750 } }),
    ])
    expect(text).toBe('')
    expect(textAt(tree, '/usr/lib/x')).toBe('same')
    expect(tree.get('/srv')?.mode).toBe(0o750)
    expect(tree.get('/usr/lib')?.type).toBe('directory')
  })

  test('that bring different things conflict', async () => {
    const { text } = await compose({}, [packageOf('a', { '/x': 'one' }), packageOf('b', { '/x': 'two' })])
    expect(text).toBe(
      '/x: package a (file) and package b (file) bring different things\n' +
        '  leave one of them out with a `leaveOut` pattern, or omit one package',
    )
  })

  test('are left out by pattern, but for what is kept, and that is counted', async () => {
    const { tree, leftOut } = await compose(
      { leaveOut: { '/doc/**': 'read elsewhere' }, keep: { '/doc/licence': 'goes with it' } },
      [packageOf('a', { '/doc': { folder: 0o755 }, '/doc/licence': 'L', '/doc/manual': 'long text' })],
    )
    expect([...tree.keys()].filter((path) => path.startsWith('/doc'))).toEqual(['/doc', '/doc/licence'])
    expect(leftOut.get('/doc/**')).toEqual({ files: 1, bytes: 9 })
  })

  test('that do not bring what is left out are a problem', async () => {
    const { text } = await compose({ leaveOut: { '/x': 'unused' } }, [packageOf('a', { '/y': '' })])
    expect(text).toBe('/x: module lan leaves it out, but no package brings it\n  remove it')
  })

  test('do not collide with what was built', async () => {
    const { text } = await compose({}, [packageOf('a', { '/x': '' })], [packageOf('part', { '/x': '' })])
    expect(text).toBe('/x: both package a and package part bring it')
  })
})

describe('files of modules', () => {
  const packages = [
    packageOf('a', {
      '/etc/conf': 'theirs',
      '/etc/dir': { folder: 0o755 },
      '/etc/ca/b': 'B',
      '/etc/ca/a': 'A\n',
    }),
  ]

  test.each<[string, Omit<Module, 'name'>, string]>([
    [
      'a file of a package',
      { files: { '/etc/conf': { body: 'ours' } } },
      "/etc/conf: module lan declares it as a file, but package a brings a file\n  write `replaces: 'a'` if that is meant",
    ],
    [
      'replacing what is not there',
      { files: { '/etc/other': { body: 'ours', replaces: 'a' } } },
      "/etc/other: module lan declares it as a file that replaces package a's, which brings none",
    ],
    [
      'a file for a folder',
      { files: { '/etc/dir': { body: '' } } },
      '/etc/dir: module lan declares it as a file, but package a brings a folder',
    ],
    [
      'a folder for a file',
      { directories: { '/etc/conf': {} } },
      '/etc/conf: module lan declares it as a directory, but package a brings a file',
    ],
    [
      'below a file',
      { files: { '/etc/conf/x': { body: '' } } },
      '/etc/conf/x: module lan puts it below /etc/conf, a file of package a',
    ],
    [
      'an unknown owner',
      { files: { '/etc/x': { body: '', owner: 'nobody:root' } } },
      '/etc/x: module lan gives it to nobody:root, but there is no user nobody',
    ],
    [
      'an unknown fact',
      { files: { '/etc/x': { body: { template: '{{colour}}' } } } },
      '/etc/x: its template names {{colour}}, which is no fact',
    ],
    [
      'nothing to concatenate',
      { files: { '/etc/x': { body: { concatenated: '/nowhere/*' } } } },
      '/etc/x: no file of a package matches /nowhere/*',
    ],
  ])('%s', async (_, module, expected) => {
    expect((await compose(module, packages)).text).toBe(expected)
  })

  test('replace a file on purpose, fill templates, concatenate in order of path', async () => {
    const { tree, text } = await compose(
      {
        files: {
          '/etc/conf': { body: 'ours', replaces: 'a', mode: 0o600 },
          '/etc/version': { body: { template: 'v{{version}}\n' } },
          '/etc/bundle': { body: { concatenated: '/etc/ca/*' } },
        },
      },
      packages,
    )
    expect(text).toBe('')
    expect(tree.get('/etc/conf')).toMatchObject({ mode: 0o600, origin: 'module lan' })
    expect(textAt(tree, '/etc/version')).toBe('v1.2.3\n')
    expect(textAt(tree, '/etc/bundle')).toBe('A\nB\n')
  })
})

describe('accounts', () => {
  test('are written locked, ordered by id', async () => {
    const { tree } = await compose({
      groups: { shadow: { gid: 42 }, adm: { gid: 4 } },
      users: { app: { uid: 900, groups: ['adm'], home: '/data/app', subordinateIds: 100_000 } },
    })
    expect(textAt(tree, '/etc/passwd')).toBe(
      'root:x:0:0::/nonexistent:/usr/sbin/nologin\napp:x:900:900::/data/app:/usr/sbin/nologin\n',
    )
    expect(textAt(tree, '/etc/group')).toBe('root:x:0:\nadm:x:4:app\nshadow:x:42:\napp:x:900:\n')
    expect(textAt(tree, '/etc/shadow')).toBe('root:!*:::::::\napp:!*:::::::\n')
    expect(textAt(tree, '/etc/subuid')).toBe('app:100000:65536\n')
    expect(tree.get('/etc/shadow')).toMatchObject({ mode: 0o640, gid: 42 })
  })

  test('are declared, not brought', async () => {
    const { text } = await compose({}, [packageOf('base', { '/etc/passwd': '' })])
    expect(text).toBe('/etc/passwd: package base brings it; accounts are declared')
  })

  test('that a package expects are asked for', async () => {
    const { text } = await compose({}, [
      packageOf('dbus', { '/usr/lib/sysusers.d/dbus.conf': 'u messagebus -\n' }),
    ])
    expect(text).toContain('user messagebus: package dbus expects it, and no module declares it')
  })
})

describe('units', () => {
  const unit = (install: string) =>
    packageOf('a', { '/usr/lib/systemd/system/x.service': `[Install]\n${install}\n` })

  test('are enabled as their [Install] section says', async () => {
    const { tree, text } = await compose({ enable: ['x.service'] }, [
      unit('Alias=dbus-x.service\nWantedBy=multi-user.target graphical.target\nRequiredBy=y.service'),
    ])
    expect(text).toBe('')
    const target = '/usr/lib/systemd/system/x.service'
    expect(tree.get('/etc/systemd/system/dbus-x.service')).toEqual(linkTo(target))
    expect(tree.get('/etc/systemd/system/multi-user.target.wants/x.service')).toEqual(linkTo(target))
    expect(tree.get('/etc/systemd/system/graphical.target.wants/x.service')).toEqual(linkTo(target))
    expect(tree.get('/etc/systemd/system/y.service.requires/x.service')).toEqual(linkTo(target))
  })

  test('from templates link the instance to the template', async () => {
    const { tree } = await compose({ enable: ['get@tty1.service'] }, [
      packageOf('a', { '/usr/lib/systemd/system/get@.service': '[Install]\nWantedBy=%i.target\n' }),
    ])
    expect(tree.get('/etc/systemd/system/tty1.target.wants/get@tty1.service')).toEqual(
      linkTo('/usr/lib/systemd/system/get@.service'),
    )
  })

  test('that are masked lead to /dev/null', async () => {
    const { tree } = await compose({ mask: { 'x.service': 'not here' } })
    expect(tree.get('/etc/systemd/system/x.service')).toEqual(linkTo('/dev/null'))
  })

  test.each([
    [
      'missing',
      [],
      'unit x.service: module lan enables it, but nothing brings /usr/lib/systemd/system/x.service',
    ],
    [
      'without an [Install] section',
      [packageOf('a', { '/usr/lib/systemd/system/x.service': '[Service]\n' })],
      'unit x.service: is enabled, but its [Install] section names nothing that would start it\n' +
        '  give it WantedBy=, or start it from another unit instead of enabling it',
    ],
  ])('that cannot be enabled: %s', async (_, packages, expected) => {
    expect((await compose({ enable: ['x.service'] }, packages)).text).toBe(expected)
  })
})

describe('privileges', () => {
  const packages = [packageOf('a', { '/usr/bin/su': { mode: 0o4755 }, '/usr/bin/ls': { mode: 0o755 } })]
  test('are taken away', async () => {
    const { tree, text } = await compose({ unprivileged: { '/usr/bin/su': 'no passwords' } }, packages)
    expect([text, tree.get('/usr/bin/su')?.mode]).toEqual(['', 0o755])
  })
  test('that are not there cannot be', async () => {
    const { text } = await compose({ unprivileged: { '/usr/bin/ls': 'no passwords' } }, packages)
    expect(text).toBe('/usr/bin/ls: module lan unprivileges it, but it has no privilege to lose')
  })
})
