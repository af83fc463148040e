import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { leastToml } from '@atomixos/config/operator/test-configs.ts'
import { expect, test } from 'vitest'
import { scratchDir } from '../tools/test-inputs.ts'
import { readSeed, seedProblem } from './seed.ts'

test.each<[string, string | Uint8Array, string | undefined]>([
  ['a configuration', 'version = 1\r\n# Grüße\n\t[users.me]\n', undefined],
  ['nothing', '', 'is empty'],
  ['a bundle', Buffer.from('1f8b0800', 'hex'), 'is no text in UTF-8'],
  ['a tar', `config.toml${'\0'.repeat(89)}`, 'is no text: it has the character 0x00'],
  ['an image', Buffer.alloc(1024 * 1024 + 1, 'x'), 'has 1048577 bytes; a configuration has 1048576 at most'],
])('%s as a seed', (_, content, problem) => {
  expect(seedProblem(Buffer.from(content))).toBe(problem)
})

test('a configuration that cannot be read is said with its name', async () => {
  await using dir = await scratchDir()
  const path = join(dir.path, 'config.toml')
  await expect(readSeed(path)).rejects.toMatchObject({
    message: expect.stringContaining(`the configuration ${path} cannot be read: ENOENT`),
    exitCode: 2,
  })
})

test('what no device would take is said with its place, and how to see the rest', async () => {
  await using dir = await scratchDir()
  const path = join(dir.path, 'config.toml')
  await writeFile(path, `${leastToml}[usres.me]\n[x]\n`)
  await expect(readSeed(path)).rejects.toMatchObject({
    message: expect.stringMatching(
      /^no device would take \S+config\.toml:\d+:\d+: usres: .+ \(and 1 more\)$/,
    ),
    hint: `\`./atomixos config validate ${path}\` tells all that is wrong`,
    exitCode: 2,
  })
  await writeFile(path, leastToml)
  expect(String(await readSeed(path))).toBe(leastToml)
})
