import { expect, test } from 'vitest'
import { parsePrintedUris, parseStanzas, toLockedPackage } from './apt-output.ts'
import { closure } from './bootstrap-tools.ts'
import { parseRelease } from './indices.ts'

const sha256 = 'ab'.repeat(32)

test('printed addresses become archive, path, size and hash', () => {
  const output = `'copy:/mirror/debian/pool/main/p/podman/podman_5.4.2%2bds1-2_arm64.deb' podman_5.4.2+ds1-2_arm64.deb 21156436 SHA256:${sha256}
'copy:/mirror/debian-security/pool/updates/main/x_1_arm64.deb' x_1_arm64.deb 7 MD5Sum:00
`
  expect(parsePrintedUris(output, '/mirror')).toEqual([
    {
      archive: 'debian',
      path: 'pool/main/p/podman/podman_5.4.2+ds1-2_arm64.deb',
      sizeBytes: 21156436,
      sha256,
    },
    { archive: 'debian-security', path: 'pool/updates/main/x_1_arm64.deb', sizeBytes: 7, sha256: undefined },
  ])
  expect(() => parsePrintedUris("'http://elsewhere/x' x 1 SHA256:0", '/mirror')).toThrow(
    'outside of the mirror',
  )
})

test('an index record becomes a locked package, its source named only where it differs', () => {
  const [own, other] = parseStanzas(`Package: podman
Version: 5.4.2+ds1-2+b2
Source: podman (5.4.2+ds1-2)
Architecture: arm64
Depends: libc6 (>= 2.38),
 crun
Size: 12
SHA256: ${sha256}

Package: dash
Version: 1
Architecture: arm64
Size: 3
SHA256: ${sha256}
`)
  const uri = { archive: 'debian', path: 'pool/x', sizeBytes: 12, sha256 } as const
  expect(toLockedPackage(uri, own!)).toEqual({
    ...{ name: 'podman', version: '5.4.2+ds1-2+b2', architecture: 'arm64' },
    ...{ source: 'podman', sourceVersion: '5.4.2+ds1-2' },
    ...{ archive: 'debian', path: 'pool/x', sizeBytes: 12, sha256 },
  })
  expect(own!.get('depends')).toBe('libc6 (>= 2.38),\ncrun')
  expect(toLockedPackage(uri, other!)).toMatchObject({ source: 'dash', sourceVersion: '1' })
})

test('a Release file gives codename, date and hashes, signed or not', () => {
  const text = `-----BEGIN PGP SIGNED MESSAGE-----
Hash: SHA512

Origin: Debian
Codename: trixie
Date: Sat, 12 Sep 2026 07:55:41 UTC
MD5Sum:
 00000000000000000000000000000000  5 main/binary-arm64/Packages.xz
SHA256:
 ${sha256}  1234 main/binary-arm64/Packages.xz
-----BEGIN PGP SIGNATURE-----
`
  const release = parseRelease(text, 'x')
  expect(release).toMatchObject({ codename: 'trixie', date: '2026-09-12T07:55:41Z' })
  expect(release.files.get('main/binary-arm64/Packages.xz')).toEqual({ sha256, sizeBytes: 1234 })
  expect(() => parseRelease('<html>', 'x')).toThrow('x is not a Release file of a Debian archive')
})

test('the bootstrap takes what is needed: alternatives, provided names, newest records', () => {
  const records = parseStanzas(`Package: apt
Version: 1
Depends: libapt (>= 1), gpgv | sqv, virtual
Pre-Depends: libc:any

Package: apt
Version: 2
Depends: libapt (>= 2), gpgv | sqv, virtual
Pre-Depends: libc:any

Package: libapt

Package: sqv

Package: libc

Package: real
Provides: virtual (= 3), other

Package: unrelated
`).map((fields) => ({ archive: 'debian' as const, fields }))
  const chosen = closure(records, ['apt']).map(({ fields }) => [fields.get('package'), fields.get('version')])
  expect(chosen).toEqual([
    ['apt', '2'],
    ['libapt', undefined],
    ['libc', undefined],
    ['real', undefined],
    ['sqv', undefined],
  ])
  expect(() => closure(records, ['missing'])).toThrow(
    'the mirror has no package missing, which the lock tools need',
  )
})
