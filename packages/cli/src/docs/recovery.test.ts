import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parsePage } from './markdown.ts'

/** docs/recovery.md has a way back from every state. That its links and commands lead somewhere others check. */
const page = await readFile(join(import.meta.dirname, '../../../../docs/recovery.md'), 'utf8')
const rows = page.split('\n').filter((line) => line.startsWith('| '))
const { headings } = parsePage('docs/recovery.md', page)

test.each([
  ['a release that was taken back', /an old version runs/],
  ['a release that is wrong for somebody', /wrong for you/],
  ['no boot', /restarts again and again/],
  ['both slots out of tries', /used up their tries/],
  ["a corrupt environment of U-Boot's", /using default environment/],
  ['/data broken', /NOT mounted/],
  ['/data full', /no space left/],
  ['a wrong network', /no network/],
  ['a refused configuration', /did not become active/],
  ['lost keys', /keys are lost/],
  ['a forgotten claim code', /claim code is forgotten/],
  ['a bad clock', /clock is wrong/],
  ['no updates', /takes no updates/],
  ['a revoked signer', /signer was revoked/],
  ['nothing on the line', /nothing on the serial line/],
  ['a half-written card', /interrupted while it was flashed/],
])('from %s there is a way back', (_, words) => {
  const found = rows.filter((row) => words.test(row.split('|')[1]!))
  expect(found).toHaveLength(1)
  const anchor = /\(#([^)]+)\)/.exec(found[0]!)?.[1]
  expect(headings.map(({ anchor: name }) => name)).toContain(anchor)
})
