/**
 * Every command that the README and the quick start have a person type was run by a test: the short ones by this one, the
 * others by what the list names, with the reason why it is not this one.
 */
import { execFile } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { manifestOf, signedBundle, smallPayload } from '@atomixos/image/bundle/test-bundles.ts'
import { ensureDevelopmentKeys } from '@atomixos/image/keys/development.ts'
import { openTestInputs, testWorkspace } from '@atomixos/image/tools/test-inputs.ts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parsePage } from './markdown.ts'

const rootDir = join(import.meta.dirname, '../../../..')

/** Run below, with these words in the place of the README's, and what they say. */
interface Here {
  readonly argv: () => readonly string[]
  readonly says: RegExp
}

/** Run by another test. */
interface Elsewhere {
  readonly file: string
  /** What of that file runs it. */
  readonly by: string
  readonly why: string
}

let dir: string
let bundle: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'readme-'))
  await mkdir(join(dir, 'site/files'), { recursive: true })
  await copyFile(join(rootDir, 'docs/examples/gateway.toml'), join(dir, 'site/config.toml'))
  const tools = await (await openTestInputs()).toolTree('tools')
  const { signer } = await ensureDevelopmentKeys(tools, {
    dir: join(testWorkspace().cacheDir, 'keys', 'development'),
  })
  const payload = await smallPayload(join(dir, 'payload'))
  const manifest = manifestOf(payload, { version: '1.4.0', compatible: 'atomixos-rock64' })
  bundle = await signedBundle(tools, { payload, manifest, signer, outPath: join(dir, 'release.raucb') })
})
afterAll(() => rm(dir, { recursive: true, force: true }))

const machine = 'it boots the built image on a virtual machine'
const build = 'it is a build of minutes, which every story is told about'

const commands: Readonly<Record<string, Here | Elsewhere>> = {
  './atomixos build': { file: 'packages/cli/src/commands/e2e.ts', by: 'await build(context', why: build },
  './atomixos build rauc-bundle': {
    ...{ file: 'packages/cli/src/commands/e2e.ts', by: 'await build(context' },
    why: `${build}; this is a part of it`,
  },
  './atomixos test': { file: '.ci/run', by: './atomixos test', why: 'it is what runs this test' },
  './atomixos vm': { file: 'e2e/vm.e2e.ts', by: 'quickStart.vm', why: machine },
  './atomixos vm --keep': { file: 'e2e/vm.e2e.ts', by: 'quickStart.vm', why: machine },
  './atomixos flash /dev/sdb': {
    ...{ file: 'packages/cli/src/commands/flash.test.ts', by: "await run('-y'" },
    why: 'it overwrites a disk: files and loop devices stand for one there',
  },
  './atomixos device logs --host IP': {
    ...{ file: 'packages/cli/src/commands/device.test.ts', by: "command(['logs'" },
    why: "it needs a device: the device's own API answers there",
  },
  './atomixos serial shell DEVICE': {
    ...{ file: 'packages/cli/src/commands/serial.test.ts', by: "start('shell', board.device)" },
    why: 'it needs a serial line: a terminal of the kernel stands for one there',
  },
  './atomixos e2e': { file: 'packages/cli/src/commands/test.ts', by: 'runE2e(context', why: machine },
  './atomixos e2e debug -t NAME': {
    ...{ file: 'e2e/vm.e2e.ts', by: './atomixos e2e debug -t rauc-slots' },
    why: machine,
  },
  './atomixos e2e rauc-update': {
    file: 'e2e/rauc-update.e2e.ts',
    by: "describe('rauc-update'",
    why: machine,
  },
  './atomixos e2e rauc-rollback': {
    ...{ file: 'e2e/rauc-rollback.e2e.ts', by: "storyDir('rauc-rollback')", why: machine },
  },
  './atomixos campaign power': { file: 'e2e/power-campaign.e2e.ts', by: 'describe(', why: machine },
  './atomixos check': { argv: () => ['check'], says: /rock64: .* no problems/ },
  './atomixos config validate FILE': {
    argv: () => ['config', 'validate', 'docs/examples/gateway.toml'],
    says: /a device takes it/,
  },
  './atomixos config validate docs/examples/gateway.toml': {
    argv: () => ['config', 'validate', 'docs/examples/gateway.toml'],
    says: /a device takes it/,
  },
  './atomixos config pack DIR': {
    argv: () => ['config', 'pack', join(dir, 'site'), '-o', join(dir, 'site.tar.gz')],
    says: /site\.tar\.gz/,
  },
  './atomixos bundle info FILE': { argv: () => ['bundle', 'info', bundle], says: /1\.4\.0/ },
  './atomixos feed publish DIR FILE': {
    argv: () => ['feed', 'publish', join(dir, 'feed'), bundle],
    says: /1\.4\.0/,
  },
  './atomixos fleet serve': {
    ...{ file: 'packages/cli/src/commands/fleet.test.ts', by: "'serve'" },
    why: 'it runs until it is stopped, and needs certificates',
  },
  './atomixos keys show': { argv: () => ['keys', 'show'], says: /development/i },
  './atomixos lock --update': {
    ...{ file: 'packages/image/src/lock/resolve-lock.test.ts', by: 'test(' },
    why: 'it takes what the mirror has today and changes a file of the checkout: its parts are tested on small archives',
  },
  './atomixos verify-reproducible': {
    ...{ file: 'packages/cli/src/commands/verify-reproducible.test.ts', by: 'compareSums' },
    why: 'it builds everything twice: who releases runs it (docs/releasing.md); how it compares is tested',
  },
  './atomixos docs serve': {
    ...{ file: 'packages/cli/src/commands/docs.test.ts', by: "start('serve'" },
    why: 'it runs until it is stopped',
  },
  './atomixos clean': {
    ...{ file: 'packages/cli/src/commands/clean.test.ts', by: "['clean']" },
    why: 'it removes the caches of the checkout: that of a folder there',
  },
}

const typed = async (path: string) =>
  parsePage(path, await readFile(join(rootDir, path), 'utf8'))
    .blocks.filter(({ language }) => language === 'sh')
    .flatMap(({ text }) => text.split('\n'))
    .map((line) => line.replace(/\s+#.*$/, '').trim())
    .filter((line) => line.startsWith('./atomixos'))

test('the list has what README and quick start say, and nothing else', async () => {
  const said = new Set([...(await typed('README.md')), ...(await typed('docs/quick-start.md'))])
  expect(Object.keys(commands).toSorted()).toEqual([...said].toSorted())
})

const here = Object.entries(commands).filter((entry): entry is [string, Here] => 'argv' in entry[1])
const elsewhere = Object.entries(commands).filter((entry): entry is [string, Elsewhere] => 'file' in entry[1])

describe('is run here:', () => {
  test.each(here)('%s', { timeout: 300_000 }, async (_, { argv, says }) => {
    const { stdout, stderr } = await promisify(execFile)('./atomixos', [...argv()], { cwd: rootDir })
    expect(`${stdout}${stderr}`).toMatch(says)
  })

  test('the bundle of a configuration is there', async () => {
    expect((await stat(join(dir, 'site.tar.gz'))).size).toBeGreaterThan(0)
  })
})

describe('is run by another test:', () => {
  test.each(elsewhere)('%s', async (_, { file, by, why }) => {
    expect(await readFile(join(rootDir, file), 'utf8')).toContain(by)
    expect(why).not.toBe('')
  })
})
