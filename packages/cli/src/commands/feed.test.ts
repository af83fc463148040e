/** The real command on a folder of its own, with the development keys of this checkout. */
import { spawn } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { manifestOf, signedBundle, smallPayload } from '@atomixos/image/bundle/test-bundles.ts'
import type { Signer } from '@atomixos/image/keys/authority.ts'
import { ensureDevelopmentKeys } from '@atomixos/image/keys/development.ts'
import { createProductionKeys, productionKeyring } from '@atomixos/image/keys/production.ts'
import { openTestInputs, testWorkspace } from '@atomixos/image/tools/test-inputs.ts'
import type { ToolTree } from '@atomixos/image/tools/tools.ts'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { ChannelSummary } from '../feed/channel-summary.ts'

const main = join(import.meta.dirname, '../main.ts')

let tools: ToolTree
let dir: string
let feed: string
let bundles: Record<string, string>
let sign: (version: string, signer: Signer, compatible?: string) => Promise<string>
beforeAll(async () => {
  tools = await (await openTestInputs()).toolTree('tools')
  dir = await mkdtemp(join(tmpdir(), 'atomixos-feed-command-'))
  const keys = await ensureDevelopmentKeys(tools, {
    dir: join(testWorkspace().cacheDir, 'keys', 'development'),
  })
  const payload = await smallPayload(join(dir, 'payload'))
  let count = 0
  sign = (version, signer, compatible = 'atomixos-rock64') => {
    count += 1
    const manifest = manifestOf(payload, { version, compatible })
    return signedBundle(tools, { payload, manifest, signer, outPath: join(dir, `${count}.raucb`) })
  }
  bundles = {
    old: await sign('1.3.0', keys.signer),
    one: await sign('1.4.0', keys.signer),
    two: await sign('1.5.0', keys.signer),
    revoked: await sign('9.0.0', keys.revokedSigner),
    'of something else': await sign('9.0.0', keys.signer, 'toaster'),
    'a channel': await sign('9.0.0', keys.signer, 'atomixos-channel-rock64'),
  }
})
afterAll(() => rm(dir, { recursive: true, force: true }))

let feeds = 0
beforeEach(() => {
  feeds += 1
  feed = join(dir, `feed-${feeds}`)
})

async function run(...args: string[]): Promise<{ exitCode: number | null; stdout: string; stderr: string }> {
  // As the script of the checkout does: TypeScript is compiled once, not at every start.
  const env = { ...process.env, NODE_COMPILE_CACHE: join(dir, 'compile-cache') }
  const child = spawn(process.execPath, [main, 'feed', ...args], { stdio: ['ignore', 'pipe', 'pipe'], env })
  const [stdout, stderr, exitCode] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise<number | null>((resolve) => child.once('close', resolve)),
  ])
  return { exitCode, stdout, stderr }
}

async function succeed(...args: string[]): Promise<ChannelSummary> {
  const result = await run(...args, '--json')
  expect(result).toMatchObject({ exitCode: 0 })
  return JSON.parse(result.stdout) as ChannelSummary
}

async function files(): Promise<string[]> {
  const entries = await readdir(feed, { recursive: true, withFileTypes: true }).catch(() => [])
  return entries.filter((entry) => entry.isFile()).map(({ name }) => name)
}

const channelFile = () => join(feed, 'channels/rock64/stable.channel')

test('a release is published, halted, gone on with, staged anew and renewed', {
  timeout: 180_000,
}, async () => {
  const published = await succeed(
    ...['publish', feed, bundles.one!, '--rollout', '1%@now 10%@+24h', '--canary', 'lab'],
    ...['--window', 'mon-fri 01:00-05:00', '--expires-in', '30d'],
  )
  expect(published).toMatchObject({
    ...{ board: 'rock64', channel: 'stable', sequence: 1, version: '1.4.0', percent: 1, canaries: ['lab'] },
    ...{ halted: null, floor: null, stones: [] },
    windows: [{ days: ['mon', 'tue', 'wed', 'thu', 'fri'], from: '01:00', until: '05:00' }],
  })
  expect(Date.parse(published.expires) - Date.parse(published.published)).toBe(30 * 86_400_000)
  expect(await readFile(join(feed, published.bundle.path))).toEqual(await readFile(bundles.one!))
  expect(await files()).toHaveLength(2)

  expect(await succeed('pause', feed, '--reason', 'no LAN')).toMatchObject({ sequence: 2, halted: 'no LAN' })
  expect(await succeed('resume', feed)).toMatchObject({ sequence: 3, halted: null, percent: 1 })
  expect(await succeed('rollout', feed, '50%@now', '--any-time', '--no-canaries')).toMatchObject({
    ...{ sequence: 4, percent: 50, windows: [], canaries: [] },
  })
  expect(await succeed('renew', feed)).toMatchObject({ sequence: 5, version: '1.4.0', percent: 50 })
  expect(await succeed('publish', feed, bundles.two!, '--floor', '1.4.0')).toMatchObject({
    ...{ sequence: 6, version: '1.5.0', floor: '1.4.0', stones: ['1.4.0'], percent: 100 },
  })
  const shown = await run('show', feed, '--json')
  expect(JSON.parse(shown.stdout)).toMatchObject([{ sequence: 6, version: '1.5.0', expired: false }])
  expect((await run('show', feed)).stdout).toContain('release      1.5.0, from 1.4.0 on\n')
})

test('what is for everybody is the answer to the simple question, too', { timeout: 240_000 }, async () => {
  const latest = () =>
    readFile(join(feed, 'api/v1/updates/latest'), 'utf8').then(
      (body) => JSON.parse(body) as { version: string; bundle_url: string },
      () => undefined,
    )
  const { bundle } = await succeed('publish', feed, bundles.old!)
  expect(await latest()).toEqual({ version: '1.3.0', bundle_url: bundle.path })
  // Nothing can be told to a tenth of those who ask.
  await succeed('publish', feed, bundles.one!, '--rollout', '10%@now', '--deltas', '0')
  expect(await latest()).toMatchObject({ version: '1.3.0' })
  await succeed('rollout', feed, '100%@now')
  expect(await latest()).toMatchObject({ version: '1.4.0' })
  await succeed('pause', feed, '--reason', 'no LAN')
  expect(await latest()).toBeUndefined()
  await succeed('resume', feed)
  expect(await latest()).toMatchObject({ version: '1.4.0' })
  // Who is below the floor takes the way there first; who is above it, knows channels.
  const { bundle: next } = await succeed('publish', feed, bundles.two!, '--floor', '1.4.0', '--deltas', '0')
  expect(next.path).toContain('1.5.0')
  expect(await latest()).toMatchObject({ version: '1.4.0' })
})

test('one file cannot answer two boards, and another channel answers nobody', {
  timeout: 240_000,
}, async () => {
  await succeed('publish', feed, bundles.old!, '--channel', 'beta')
  expect(await files()).toHaveLength(2)
  await mkdir(join(feed, 'channels/other'), { recursive: true })
  await writeFile(join(feed, 'channels/other/stable.channel'), '')
  const result = await run('publish', feed, bundles.old!)
  expect(result).toMatchObject({ exitCode: 0 })
  expect(result.stderr).toContain('/api/v1/updates/latest stays as it is: the feed has several boards')
  expect(await files()).not.toContain('latest')
})

test('deltas come from the last versions that the feed holds, and are listed with their share', {
  timeout: 240_000,
}, async () => {
  expect((await succeed('publish', feed, bundles.old!)).deltas).toEqual([])
  expect((await succeed('publish', feed, bundles.one!)).deltas.map(({ from }) => from)).toEqual(['1.3.0'])
  const { deltas } = await succeed('publish', feed, bundles.two!)
  expect(deltas.map(({ from }) => from)).toEqual(['1.4.0', '1.3.0'])
  for (const { path, from, sizeBytes, sha256, share } of deltas) {
    const start = `deltas/rock64/atomixos-rock64-${from}-to-1.5.0-`
    expect(path).toBe(`${start}${sha256.slice(0, 12)}.delta`)
    expect((await readFile(join(feed, path))).byteLength).toBe(sizeBytes)
    expect(share).toBeLessThan(0.1)
  }
  const shown = await run('show', feed)
  expect(shown).toMatchObject({ exitCode: 0 })
  expect(shown.stdout).toMatch(/^delta {8}from 1\.4\.0, 0\.0 MB, \d\.\d\d %$/m)
  await writeFile(join(feed, deltas[0]!.path), 'spoiled')
  const spoiled = await run('show', feed)
  expect(spoiled).toMatchObject({ exitCode: 1 })
  expect(spoiled.stderr).toContain(`${deltas[0]!.path} is not what was published`)
})

test('a bundle in the feed that devices would not run is no beginning of a delta', {
  timeout: 240_000,
}, async () => {
  const { bundle } = await succeed('publish', feed, bundles.old!)
  await succeed('publish', feed, bundles.one!)
  const file = await open(join(feed, bundle.path), 'r+')
  await file.write(Buffer.from('!'), 0, 1, 50_000)
  await file.close()
  const result = await run('publish', feed, bundles.two!, '--json')
  expect(result).toMatchObject({ exitCode: 0 })
  expect(result.stderr).toContain('no delta from 1.3.0: ')
  expect(result.stderr).toContain('its contents are not what was signed')
  expect((JSON.parse(result.stdout) as ChannelSummary).deltas.map(({ from }) => from)).toEqual(['1.4.0'])
})

test('deltas are left out where they are not wanted, or of no use', { timeout: 240_000 }, async () => {
  await succeed('publish', feed, bundles.old!)
  await succeed('publish', feed, bundles.one!, '--deltas', '0')
  expect(await files()).toHaveLength(4)
  // Devices that run 1.3.0 do not take it directly.
  const { deltas } = await succeed('publish', feed, bundles.two!, '--floor', '1.4.0')
  expect(deltas.map(({ from }) => from)).toEqual(['1.4.0'])
})

describe('nothing is published', () => {
  test.each<[string, string, number, string]>([
    ['that devices refuse', 'revoked', 1, 'certificate revoked'],
    ['that is for nobody', 'of something else', 2, 'is for "toaster", version "9.0.0": no update of ours'],
    ['that is a channel', 'a channel', 2, 'no update of ours'],
  ])('%s', async (_, name, exitCode, message) => {
    const result = await run('publish', feed, bundles[name]!)
    expect(result).toMatchObject({ exitCode, stdout: '' })
    expect(result.stderr).toContain(message)
    expect(await files()).toEqual([])
  })

  test('that was damaged on the way', async () => {
    const path = join(dir, 'damaged.raucb')
    await copyFile(bundles.one!, path)
    const file = await open(path, 'r+')
    await file.write(Buffer.from('!'), 0, 1, 50_000)
    await file.close()
    const result = await run('publish', feed, path)
    expect(result).toMatchObject({ exitCode: 1, stdout: '' })
    expect(result.stderr).toContain('its contents are not what was signed')
    expect(await files()).toEqual([])
  })

  test('that is older, or there already', async () => {
    await succeed('publish', feed, bundles.one!)
    const before = [await readFile(channelFile()), await files()]
    for (const [name, message] of [
      ['old', 'version 1.3.0 is older than 1.4.0, which the channel has'],
      ['one', 'version 1.4.0 is published already'],
    ] as const) {
      const result = await run('publish', feed, bundles[name]!)
      expect(result).toMatchObject({ exitCode: 2, stdout: '' })
      expect(result.stderr).toContain(message)
    }
    expect([await readFile(channelFile()), await files()]).toEqual(before)
  })

  test('on top of what somebody else has put there', async () => {
    await succeed('publish', feed, bundles.one!)
    const bytes = await readFile(channelFile())
    await writeFile(channelFile(), Buffer.concat([bytes.subarray(0, -3000), Buffer.alloc(3000, 7)]))
    for (const args of [
      ['publish', feed, bundles.two!],
      ['resume', feed],
      ['renew', feed],
    ]) {
      const result = await run(...args)
      expect(result).toMatchObject({ exitCode: 1, stdout: '' })
      expect(result.stderr).toContain('whoever can write to the feed could have put it there')
    }
    expect(await run('show', feed)).toMatchObject({ exitCode: 1 })
  })
})

test('show finds what is missing or exchanged', async () => {
  const { bundle } = await succeed('publish', feed, bundles.one!)
  await writeFile(join(feed, bundle.path), 'other')
  expect((await run('show', feed)).stderr).toContain(`${bundle.path} is not what was published`)
  await rm(join(feed, bundle.path))
  const result = await run('show', feed)
  expect(result.exitCode).toBe(1)
  expect(result.stderr).toContain(`${bundle.path} is missing`)
})

describe('wrong words are answered before anything is done:', () => {
  test.each<[string[], string]>([
    [['pause', 'DIR', '--reason', 'x'], 'DIR is no folder'],
    [['pause', 'DIR'], "required option '--reason <TEXT>' not specified"],
    [['rollout', 'DIR'], 'nothing is to be changed'],
    [['rollout', 'DIR', '--window', 'x', '--any-time'], '--window and --any-time exclude each other'],
    [['publish', 'DIR', 'BUNDLE', '--rollout', 'everything'], '"everything" is no step of a roll-out'],
    [['publish', 'DIR', 'BUNDLE', '--window', 'at night'], '"at night" is no window'],
    [['publish', 'DIR', 'BUNDLE', '--canary', 'Lab!'], '"Lab!" is no label'],
    [['publish', 'DIR', 'BUNDLE', '--floor', 'x'], '"x" is no version'],
    [['publish', 'DIR', 'BUNDLE', '--deltas', '33'], 'a whole number from 0 to 32'],
    [['publish', 'DIR', 'BUNDLE', '--channel', '../x'], '"../x" is no channel'],
    [['publish', 'DIR', 'BUNDLE', '--expires-in', 'never'], '"never" is no duration'],
    [['publish', 'DIR', 'BUNDLE', '--release'], 'a release needs production keys; missing:'],
    [['publish', 'DIR', 'BUNDLE', '--keyring', 'x'], 'keys are given, but --release is not'],
    [['publish', 'DIR', 'NOTHING'], 'NOTHING cannot be read: ENOENT'],
    [['show', 'DIR'], 'DIR is no folder'],
    [['serve', 'DIR'], 'DIR is no folder'],
  ])('%j', async (words, message) => {
    const places: Record<string, string> = { DIR: feed, BUNDLE: bundles.one!, NOTHING: join(dir, 'nothing') }
    const result = await run(...words.map((word) => places[word] ?? word))
    expect(result).toMatchObject({ exitCode: 2, stdout: '' })
    const shown = Object.entries(places).reduce(
      (all, [name, path]) => all.replaceAll(path, name),
      result.stderr,
    )
    expect(shown).toContain(message)
    expect(await files()).toEqual([])
  })
})

test('every command has examples', async () => {
  for (const name of ['publish', 'pause', 'resume', 'rollout', 'renew', 'show', 'serve']) {
    const { stdout, exitCode } = await run(name, '--help')
    expect(exitCode).toBe(0)
    expect(stdout).toContain(`Examples:\n  ./atomixos feed ${name} /srv/feed`)
  }
})

test('production keys are given as to a release build, and development bundles stay out', {
  timeout: 240_000,
}, async () => {
  const production = join(dir, 'pki')
  const passphrases = { root: 'root secret', intermediate: 'middle secret', signer: 'signer secret' }
  const nowSeconds = Math.floor(Date.now() / 1000)
  const options = { dir: production, organization: 'Example', signerName: 'first', passphrases, nowSeconds }
  const { signers } = await createProductionKeys(tools, options)
  const { signer } = signers[0]!
  const [keyring, passphrase] = [join(dir, 'keyring.pem'), join(dir, 'signer.txt')]
  await writeFile(keyring, await productionKeyring([production]))
  await writeFile(passphrase, `${passphrases.signer}\n`)
  const keys = [
    ...['--release', '--keyring', keyring, '--signing-key', signer.keyPath],
    ...['--signing-certificate', signer.certificatePath, '--signing-chain', signer.chainPath!],
    ...['--signing-passphrase-file', passphrase],
  ]
  const refused = await run('publish', feed, bundles.one!, ...keys)
  expect(refused).toMatchObject({ exitCode: 1, stdout: '' })
  expect(refused.stderr).toContain(`devices with ${keyring} refuse it`)
  const bundle = await sign('2.0.0', { ...signer, passphrase: passphrases.signer })
  expect(await succeed('publish', feed, bundle, ...keys)).toMatchObject({ sequence: 1, version: '2.0.0' })
  expect(await run('show', feed, '--keyring', keyring)).toMatchObject({ exitCode: 0 })
  expect(await run('show', feed)).toMatchObject({ exitCode: 1 })
  expect(await run('pause', feed, '--reason', 'x')).toMatchObject({ exitCode: 1 })
  expect(await succeed('pause', feed, '--reason', 'x', ...keys)).toMatchObject({ sequence: 2, halted: 'x' })
})
