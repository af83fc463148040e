import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Channel, channelLimits, judgeChannel, renderChannel } from '@atomixos/config'
import { channelOf, hourMs, nowMs, release } from '@atomixos/config/channel/test-channels.ts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { inspectBundle } from '../bundle/inspect.ts'
import { readBundle } from '../bundle/read.ts'
import { writeBundle } from '../bundle/sign.ts'
import { manifestOf, signedBundle, smallPayload } from '../bundle/test-bundles.ts'
import { readRaucInfo } from '../bundle/verify.ts'
import { issueSigner, type Signer } from '../keys/authority.ts'
import { type DevelopmentKeys, ensureDevelopmentKeys } from '../keys/development.ts'
import { createProductionKeys, productionKeyring } from '../keys/production.ts'
import { openTestInputs } from '../tools/test-inputs.ts'
import type { ToolTree } from '../tools/tools.ts'
import { readChannelFile, writeChannelFile, writeSignedDocument } from './channel-file.ts'

/** What a device makes of channel files, as the real RAUC judges them with a device's settings. */

const signingTimeSeconds = 1_795_000_000

let tools: ToolTree
let dir: string
let keys: DevelopmentKeys
beforeAll(async () => {
  tools = await (await openTestInputs()).toolTree('tools')
  dir = await mkdtemp(join(tmpdir(), 'atomixos-feed-'))
  keys = await ensureDevelopmentKeys(tools, { dir: join(dir, 'keys') })
})
afterAll(() => rm(dir, { recursive: true, force: true }))

let count = 0
function newPath(): string {
  count += 1
  return join(dir, `${count}.channel`)
}

async function write(channel: Channel, signer: Signer = keys.signer): Promise<string> {
  const outPath = newPath()
  await writeChannelFile(tools, { channel, signer, signingTimeSeconds, outPath })
  return outPath
}

/** What a device does with the file: RAUC's word, then ours. */
async function judge(path: string, keyringPath = keys.keyringPath): Promise<string> {
  const said = await readRaucInfo(tools, { bundlePath: path, keyringPath })
  if (!said.accepted) return `RAUC: ${said.reason}`
  const judged = judgeChannel(said.stdout, { board: 'rock64', channel: 'stable', nowMs })
  return 'channel' in judged ? `number ${judged.channel.sequence}` : `${judged.kind}: ${judged.reason}`
}

test('what was published is what a device reads', async () => {
  const channel = channelOf({ canaries: ['lab'], halt: { reason: 'größer als gedacht', sinceMs: nowMs } })
  const path = await write(channel)
  expect(await judge(path)).toBe('number 7')
  expect(await readChannelFile(tools, { path, keyringPath: keys.keyringPath })).toMatchObject({ channel })
})

test('the same channel, key and time give the same bytes, of some kilobytes', async () => {
  const [one, other] = await Promise.all([write(channelOf()), write(channelOf())])
  expect((await readFile(one)).equals(await readFile(other))).toBe(true)
  expect((await stat(one)).size).toBeLessThan(20_000)
})

test('nothing in it can be installed', async () => {
  const { manifest } = await inspectBundle(tools, await readBundle(await write(channelOf())))
  // No system has this name, RAUC on a device takes nothing below 0.1.0, and there is no image.
  expect(manifest).toMatchObject({ compatible: 'atomixos-channel-rock64', version: '0.0.0', images: [] })
})

describe('a device refuses', () => {
  test.each<[string, () => Promise<string>, RegExp]>([
    ['a revoked signer', () => write(channelOf(), keys.revokedSigner), /^RAUC: .*certificate revoked/],
    ['a signer for mail', async () => write(channelOf(), await mailSigner()), /^RAUC: .*certificate purpose/],
    [
      'the keys of another checkout',
      async () => write(channelOf(), await strangeSigner()),
      /^RAUC: .*local issuer/,
    ],
    ['no signature', () => signedBy(randomBytes(2000)), /^RAUC: \S/],
    ['garbage', () => file(randomBytes(5000)), /^RAUC: \S/],
    ['a web page', () => file(Buffer.from('<html>Not found</html>')), /^RAUC: \S/],
    ['nothing', () => file(Buffer.alloc(0)), /^RAUC: \S/],
    ['an update in its place', update, /^no-channel: it is signed, and no channel file$/],
    ['another board', () => write(channelOf({ board: 'toaster' })), /^board: it is for the board "toaster"/],
    ['another channel', () => write(channelOf({ channel: 'beta' })), /^channel: it is the channel "beta"/],
    [
      'one that has expired',
      () => write(channelOf({ expiresMs: nowMs - hourMs })),
      /^expired: it expired at/,
    ],
    ['a document of another schema', () => signed('{"schema":2}'), /^schema: its schema is 2/],
    ['a document that is none', () => signed('hello'), /^content: the document is not JSON$/],
    ['a document in an update', () => signed(renderChannel(channelOf()), 'atomixos-rock64'), /^no-channel/],
    [
      'a document of another board than the file',
      () => signed(renderChannel(channelOf({ board: 'x' }))),
      /^board/,
    ],
  ])('%s', async (_, make, reason) => {
    expect(await judge(await make())).toMatch(reason)
  })

  test('a file in which one byte of the document is another', async () => {
    const path = await write(channelOf())
    const bytes = await readFile(path)
    const at = bytes.lastIndexOf('channel=ey') + 'channel='.length + 40
    bytes[at] = bytes[at] === 0x41 ? 0x42 : 0x41
    await writeFile(path, bytes)
    expect(await judge(path)).toMatch(/^RAUC: /)
  })

  test('every file that was cut', async () => {
    const path = await write(channelOf())
    const bytes = await readFile(path)
    for (const length of [1, 100, 8192, bytes.length - 2000, bytes.length - 1]) {
      await writeFile(path, bytes.subarray(0, length))
      expect(await judge(path), `${length}`).toMatch(/^RAUC: /)
    }
  })

  const file = async (bytes: Buffer) => {
    const path = newPath()
    await writeFile(path, bytes)
    return path
  }
  const signedBy = async (signature: Buffer) => {
    const path = await write(channelOf())
    const { payloadBytes } = await readBundle(path)
    await writeFile(`${path}.payload`, (await readFile(path)).subarray(0, payloadBytes))
    const outPath = newPath()
    await writeBundle({ payloadPath: `${path}.payload`, signature, outPath })
    return outPath
  }
  const signed = async (document: string, compatible?: string) => {
    const outPath = newPath()
    await writeSignedDocument(tools, {
      ...{ board: 'rock64', document, signer: keys.signer, outPath },
      ...(compatible !== undefined && { compatible }),
    })
    return outPath
  }
  async function update(): Promise<string> {
    const payload = await smallPayload(join(dir, 'update'))
    const manifest = manifestOf(payload)
    return signedBundle(tools, { payload, manifest, signer: keys.signer, outPath: newPath() })
  }
  const mailSigner = () =>
    issueSigner(tools, {
      dir: join(dir, 'mail'),
      subject: { organization: 'Example', name: 'mail' },
      validity: keys.authority.validity,
      issuer: { authority: keys.authority },
      purpose: 'emailProtection',
    })
  const strangeSigner = async () => (await ensureDevelopmentKeys(tools, { dir: join(dir, 'strange') })).signer
})

describe('a publisher', () => {
  test('cannot write what devices would not read', async () => {
    const channel = channelOf({ steps: [{ atMs: nowMs, percent: 200 }], canaries: ['NO'] })
    await expect(write(channel)).rejects.toThrow(
      'devices would not read this channel:\n  steps[0].percent is not a number from 0 to 100\n  canaries[0] is no name',
    )
  })

  test('does not build on a file that somebody else has put there', async () => {
    const path = await write(channelOf(), keys.revokedSigner)
    await expect(readChannelFile(tools, { path, keyringPath: keys.keyringPath })).rejects.toThrow(
      `${path}: devices with ${keys.keyringPath} refuse it: signature verification failed`,
    )
  })

  test('whose file is of two boards is told so', async () => {
    const outPath = newPath()
    const document = renderChannel(channelOf())
    await writeSignedDocument(tools, { board: 'toaster', document, signer: keys.signer, outPath })
    await expect(readChannelFile(tools, { path: outPath, keyringPath: keys.keyringPath })).rejects.toThrow(
      'it is signed for the board "toaster" and says "rock64"',
    )
  })
})

test('the largest document there can be passes RAUC, below an intermediate authority', async () => {
  const production = join(dir, 'production')
  const passphrases = { root: 'root secret', intermediate: 'middle secret', signer: 'signer secret' }
  const nowSeconds = signingTimeSeconds
  const options = { dir: production, organization: 'Example', signerName: 'first', passphrases, nowSeconds }
  const { signers } = await createProductionKeys(tools, options)
  const signer = { ...signers[0]!.signer, passphrase: passphrases.signer }
  const keyringPath = join(dir, 'production.pem')
  await writeFile(keyringPath, await productionKeyring([production]))
  const channel = largest()
  const size = renderChannel(channel).length
  expect(size).toBeGreaterThan(channelLimits.documentBytesMax - 400)
  const path = await write(channel, signer)
  expect(await judge(path, keyringPath)).toBe('number 7')
  expect((await stat(path)).size).toBeLessThanOrEqual(channelLimits.fileBytesMax)
  expect(await judge(path)).toMatch(/^RAUC: /)
})

/** As many deltas as fit. */
function largest(): Channel {
  const delta = (n: number) => ({
    ...{ from: `1.0.${n}`, sizeBytes: 1000, sha256: 'ab'.repeat(32) },
    path: `deltas/${'x'.repeat(100)}-${n}`,
  })
  const stones = Array.from({ length: channelLimits.stonesMax }, (_, n) =>
    release(`1.1.${n}`, { deltas: Array.from({ length: 14 }, (_, m) => delta(m)) }),
  )
  let channel = channelOf({ stones })
  for (let n = 0; n < channelLimits.deltasMax; n++) {
    const deltas = [...channel.release.deltas, delta(n)]
    const more = { ...channel, release: { ...channel.release, deltas } }
    if (renderChannel(more).length > channelLimits.documentBytesMax) break
    channel = more
  }
  return channel
}
