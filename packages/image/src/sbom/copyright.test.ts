import { describe, expect, test } from 'vitest'
import { parseCopyright } from './copyright.ts'
import { spdxExpression } from './spdx.ts'
import { spdxIds } from './test-schema.ts'

describe('spdxExpression', () => {
  test.each([
    ['GPL-2', 'GPL-2.0-only'],
    ['GPL-2+', 'GPL-2.0-or-later'],
    ['LGPL-2.1+', 'LGPL-2.1-or-later'],
    ['gpl-3+', 'GPL-3.0-or-later'],
    ['Expat', 'MIT'],
    ['BSD-3-clause', 'BSD-3-Clause'],
    ['apache-2.0', 'Apache-2.0'],
    ['GPL-2+ or Artistic-2.0, and Expat', '(GPL-2.0-or-later OR Artistic-2.0) AND MIT'],
    ['ISC and Expat or Zlib', '(ISC AND MIT) OR Zlib'],
    ['GPL-3+ with autoconf exception', 'GPL-3.0-or-later WITH Autoconf-exception-generic'],
    ['GPL-2 with Linux-syscall-note exception', 'GPL-2.0-only WITH Linux-syscall-note'],
    ['MIT or MIT', 'MIT'],
  ])('%s is %s', (debian, spdx) => {
    expect(spdxExpression(debian)).toBe(spdx)
  })

  test.each([
    ['public-domain', 'LicenseRef-debian-public-domain'],
    ['GPL-2+ with OpenSSL exception', 'LicenseRef-debian-GPL-2-with-OpenSSL-exception'],
    ['GPL-9', 'LicenseRef-debian-GPL-9'],
    ['BSD', 'LicenseRef-debian-BSD'],
    ['Artistic', 'LicenseRef-debian-Artistic'],
  ])('%s is not certain: %s', (debian, reference) => {
    expect(spdxExpression(debian)).toBe(reference)
  })

  test('every id that can come out is one of SPDX', () => {
    const known = spdxIds()
    const names = [
      '0BSD',
      'Beerware',
      'BSD-1-Clause',
      'BSL-1.0',
      'CC0',
      'curl',
      'FSFULLR',
      'FTL',
      'HPND',
      'IJG',
    ]
    names.push(
      'OpenSSL',
      'PostgreSQL',
      'Unicode-3.0',
      'Unlicense',
      'WTFPL-2',
      'X11',
      'Zlib',
      'MIT-0',
      'OFL-1.1',
    )
    for (const family of ['AGPL', 'GPL', 'LGPL', 'GFDL']) {
      for (const version of ['1', '1.1', '1.2', '1.3', '2', '2.1', '3']) {
        names.push(`${family}-${version}`, `${family}-${version}+`)
      }
    }
    const ids = names.map(spdxExpression).filter((id) => !id.startsWith('LicenseRef-'))
    expect(ids.length).toBeGreaterThan(30)
    expect(ids.filter((id) => !known.has(id))).toEqual([])
  })
})

describe('parseCopyright', () => {
  test('joins the licences of all files, each once', () => {
    const text = `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: example

Files: *
Copyright: 2020 Someone
License: GPL-2+

Files: lib/*
Copyright: 2020 Someone
License: Expat or Zlib
 a text that belongs to it

Files: doc/*
License: GPL-2+

License: GPL-2+
 On Debian systems see /usr/share/common-licenses/GPL-2.

License: unused
 nobody refers to it
`
    expect(parseCopyright(text)).toEqual({
      kind: 'expression',
      expression: 'GPL-2.0-or-later AND (MIT OR Zlib)',
    })
  })

  test('a text for people gives no expression, but what it refers to', () => {
    const text = `This package was debianized by hand.
On Debian systems, the complete texts are in /usr/share/common-licenses/GPL-2 and
\`/usr/share/common-licenses/LGPL-2.1'.
`
    expect(parseCopyright(text)).toEqual({ kind: 'text', commonLicenses: ['GPL-2', 'LGPL-2.1'] })
  })

  test('line ends of another system make no difference', () => {
    const text = 'Format: https://dep.debian.net/deps/dep5\r\n\r\nFiles: *\r\nLicense: ISC\r\n'
    expect(parseCopyright(text)).toEqual({ kind: 'expression', expression: 'ISC' })
  })
})
