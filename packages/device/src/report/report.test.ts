import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { bound } from './bound.ts'
import { collect } from './collect.ts'
import { type ReportItem, reportItems } from './contents.ts'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'atomixos-test-'))
})
afterEach(() => rm(dir, { recursive: true, force: true }))

const limits = { itemMs: 5000, reportMs: 20_000 }
const text = (name: string) => readFile(join(dir, 'out', name), 'utf8')
const item = (rest: object): ReportItem =>
  ({ name: 'x', bytesMax: 1000, keep: 'end', ...rest }) as unknown as ReportItem

test('programs and files are in it, without secrets, for root alone', async () => {
  await writeFile(join(dir, 'log'), 'password=hunter2\n')
  await collect(
    [
      item({ name: 'said', argv: ['/bin/echo', 'token: hunter2', 'and more'] }),
      item({ name: 'kept', path: join(dir, 'log') }),
    ],
    join(dir, 'out'),
    limits,
  )
  expect(await text('said')).toBe('token: [removed] and more\n')
  expect(await text('kept')).toBe('password=[removed]\n')
  expect((await stat(join(dir, 'out/said'))).mode & 0o777).toBe(0o600)
})

test('what can not be had says why, and costs nothing else', async () => {
  await collect(
    [
      item({ name: 'gone', path: join(dir, 'nothing') }),
      item({ name: 'folder', path: dir }),
      item({ name: 'missing', argv: ['/no/such/program'] }),
      item({ name: 'failing', argv: ['/bin/sh', '-c', 'echo some; echo why >&2; exit 3'] }),
      item({ name: 'slow', argv: ['/bin/sleep', '60'] }),
      item({ name: 'last', argv: ['/bin/echo', 'here'] }),
    ],
    join(dir, 'out'),
    { itemMs: 300, reportMs: 20_000 },
  )
  expect(await text('gone')).toBe(`[${dir}/nothing can't be read: ENOENT]\n`)
  expect(await text('folder')).toBe(`[${dir} is no file]\n`)
  expect(await text('missing')).toContain('[/no/such/program: could not be started, or took too long]')
  expect(await text('failing')).toBe('some\n[/bin/sh -c echo some; echo why >&2; exit 3: exit code 3]\nwhy\n')
  expect(await text('slow')).toContain('took too long')
  expect(await text('last')).toBe('here\n')
})

test('it says what is not in it', async () => {
  await collect(
    [
      item({ name: 'said', argv: ['/bin/echo', 'token: hunter2 psk=hunter2'] }),
      item({ name: 'plain', argv: ['/bin/echo', 'nothing of that kind'] }),
      item({ name: 'gone', path: join(dir, 'nothing') }),
      item({ name: 'long', argv: ['/usr/bin/seq', '1000'] }),
    ],
    join(dir, 'out'),
    limits,
  )
  const said = await text('left-out.txt')
  expect(said).toContain('on purpose:\n  settings: config.toml')
  expect(said).toContain('are shortened):\n  said: 2 places\n\n')
  expect(said).toContain('only a part is there:\n  long\n\n')
  expect(said).toContain("or not in full:\n  gone: can't be read: ENOENT\n\n")
})

test('the time for all is bounded', async () => {
  const slow = (name: string) => item({ name, argv: ['/bin/sleep', '60'] })
  const startMs = performance.now()
  await collect([slow('a'), slow('b'), slow('c')], join(dir, 'out'), { itemMs: 400, reportMs: 500 })
  expect(performance.now() - startMs).toBeLessThan(5000)
  expect(await text('c')).toBe('[left out: the report took too long]\n')
})

describe('the size is bounded:', () => {
  test.each([
    ['end', '[4 bytes or a little more are left out]\nthree\n'],
    ['start', 'one\ntwo\n[4 bytes or a little more are left out]\n'],
  ] as const)('the %s stays, whole lines of it', (keep, expected) => {
    expect(bound(Buffer.from('one\ntwo\nthree\n'), 10, keep)).toBe(expected)
  })

  test('of a file only that much is read', async () => {
    await writeFile(join(dir, 'log'), 'a line of it\n'.repeat(100_000))
    await collect([item({ path: join(dir, 'log') })], join(dir, 'out'), limits)
    expect((await stat(join(dir, 'out/x'))).size).toBeLessThan(1100)
    expect(await readdir(join(dir, 'out'))).toEqual(['left-out.txt', 'x'])
  })

  test('all together', () => {
    const sum = reportItems.reduce((bytes, { bytesMax }) => bytes + bytesMax, 0)
    expect(sum).toBeLessThan(20 * 1024 * 1024)
    expect(new Set(reportItems.map(({ name }) => name)).size).toBe(reportItems.length)
  })
})

test('nothing is asked for that is there to hold secrets', () => {
  const asked = reportItems.flatMap((one) => ('path' in one ? [one.path] : one.argv))
  for (const word of asked) {
    expect(word).not.toMatch(/\/data\/(config|ssh|identity)|shadow|inspect|environ|\.pem|\.conf$/)
  }
})
