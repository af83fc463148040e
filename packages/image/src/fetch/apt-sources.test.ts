import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { scratchDir } from '../tools/test-inputs.ts'
import { parseDeb822Sources, parseOneLineSources, readHostAptSources } from './apt-sources.ts'

test('one-line sources: options, comments and source packages', () => {
  const text = `
# deb http://commented.example/debian trixie main
deb http://a.example/debian trixie main contrib
deb [arch=amd64 signed-by=/k.gpg] https://b.example/debian-security trixie-security main
deb-src http://c.example/debian trixie main
`
  expect(parseOneLineSources(text)).toEqual([
    { uri: 'http://a.example/debian', suites: ['trixie'] },
    { uri: 'https://b.example/debian-security', suites: ['trixie-security'] },
  ])
})

test('deb822 sources: several addresses, folded fields, comments within, switched-off stanzas', () => {
  const text = `Types: deb deb-src
# a comment between fields
URIs: http://a.example/debian
 http://b.example/debian
suites: trixie trixie-updates
Components: main

Types: deb
URIs: http://off.example/debian
Suites: trixie
Enabled: no

Types: deb-src
URIs: http://source.example/debian
Suites: trixie
`
  expect(parseDeb822Sources(text)).toEqual([
    { uri: 'http://a.example/debian', suites: ['trixie', 'trixie-updates'] },
    { uri: 'http://b.example/debian', suites: ['trixie', 'trixie-updates'] },
  ])
})

describe("the host's apt configuration", () => {
  test('is read from both places, in order, by file name ending', async () => {
    await using dir = await scratchDir()
    await mkdir(join(dir.path, 'sources.list.d'))
    await writeFile(join(dir.path, 'sources.list'), 'deb http://main.example/debian trixie main\n')
    await writeFile(join(dir.path, 'sources.list.d/b.list'), 'deb http://b.example/debian trixie main\n')
    await writeFile(
      join(dir.path, 'sources.list.d/a.sources'),
      'Types: deb\nURIs: http://a.example/debian\nSuites: x\n',
    )
    await writeFile(join(dir.path, 'sources.list.d/c.list.bak'), 'deb http://c.example/debian trixie main\n')
    expect(readHostAptSources(dir.path).map(({ uri }) => uri)).toEqual([
      'http://main.example/debian',
      'http://a.example/debian',
      'http://b.example/debian',
    ])
  })

  test('may be missing: the machine need not be a Debian', () => {
    expect(readHostAptSources('/nonexistent')).toEqual([])
  })
})
