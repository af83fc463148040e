import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { type PassphraseSource, readPassphrase } from './passphrase.ts'

const variable = 'ATOMIXOS_TEST_PASSPHRASE'
let dir: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'atomixos-passphrase-'))
})
afterAll(() => rm(dir, { recursive: true }))
afterEach(() => {
  delete process.env[variable]
})

function read(source: Partial<PassphraseSource>): Promise<string> {
  const defaults = {
    of: 'root key',
    file: undefined,
    option: '--root-passphrase-file',
    variable,
    isNew: false,
  }
  return readPassphrase({ ...defaults, ...source }, new AbortController().signal)
}

test('a file goes before the environment; its first line counts', async () => {
  process.env[variable] = 'of the environment'
  const file = join(dir, 'passphrase')
  await writeFile(file, 'of the file\nsomething else\n')
  expect(await read({ file })).toBe('of the file')
  expect(await read({})).toBe('of the environment')
})

test('a file that is not there is an error, not a prompt', async () => {
  await expect(read({ file: join(dir, 'missing') })).rejects.toThrow('missing cannot be read: ENOENT')
})

test('a new key gets no short passphrase, an old one may have one', async () => {
  process.env[variable] = 'short'
  expect(await read({})).toBe('short')
  await expect(read({ isNew: true })).rejects.toThrow('root key has fewer than 12 characters')
})

test('an empty one is refused', async () => {
  process.env[variable] = ''
  await expect(read({})).rejects.toThrow('the passphrase of the root key is empty')
})
