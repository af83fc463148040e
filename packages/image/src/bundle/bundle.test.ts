import { appendFile, copyFile, mkdtemp, open, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type DevelopmentKeys, ensureDevelopmentKeys } from '../keys/development.ts'
import { openTestInputs } from '../tools/test-inputs.ts'
import type { ToolTree } from '../tools/tools.ts'
import { inspectBundle } from './inspect.ts'
import { parseBundleManifest, renderBundleManifest } from './manifest.ts'
import type { Payload } from './payload.ts'
import { writePlainBundle } from './plain.ts'
import { readBundle } from './read.ts'
import { writeBundle } from './sign.ts'
import { manifestOf, signedBundle, smallPayload } from './test-bundles.ts'
import { extractBundle, judgeSignature, verifyPayload } from './verify.ts'

const signingTimeSeconds = 1_795_000_000

let tools: ToolTree
let dir: string
let payload: Payload
let keys: DevelopmentKeys
let good: string
beforeAll(async () => {
  tools = await (await openTestInputs()).toolTree('tools')
  dir = await mkdtemp(join(tmpdir(), 'atomixos-bundle-'))
  payload = await smallPayload(join(dir, 'payload'))
  keys = await ensureDevelopmentKeys(tools, { dir: join(dir, 'keys') })
  good = await sign('good.raucb')
})
afterAll(() => rm(dir, { recursive: true, force: true }))

function sign(name: string, changes: Parameters<typeof manifestOf>[1] = {}): Promise<string> {
  const manifest = manifestOf(payload, changes)
  const outPath = join(dir, name)
  return signedBundle(tools, { payload, signer: keys.signer, signingTimeSeconds, manifest, outPath })
}

async function check(path: string): Promise<void> {
  const bundle = await readBundle(path)
  verifyPayload(bundle, (await inspectBundle(tools, bundle)).manifest.verity)
}

async function damaged(name: string, damage: (path: string) => Promise<void>): Promise<string> {
  const path = join(dir, name)
  await copyFile(good, path)
  await damage(path)
  return path
}

async function overwrite(path: string, position: number, text: string): Promise<void> {
  const file = await open(path, 'r+')
  await file.write(Buffer.from(text), 0, text.length, position)
  await file.close()
}

test('a manifest that was written is read back', () => {
  const manifest = manifestOf(payload)
  expect(parseBundleManifest(renderBundleManifest(manifest))).toEqual({ manifest })
})

test('images come out as they went in', async () => {
  const outDir = join(dir, 'extracted')
  const options = { bundlePath: good, keyringPath: keys.keyringPath, outDir }
  expect(await extractBundle(tools, options)).toEqual({ accepted: true })
  for (const { filename } of payload.images) {
    const [given, extracted] = [join(dir, 'payload', filename), join(outDir, filename)]
    expect((await readFile(extracted)).equals(await readFile(given))).toBe(true)
  }
})

test('the same images, key and time give the same bytes', async () => {
  const again = await smallPayload(join(dir, 'again'))
  const options = {
    payload: again,
    signer: keys.signer,
    signingTimeSeconds,
    outPath: join(dir, 'again.raucb'),
  }
  expect((await readFile(await signedBundle(tools, options))).equals(await readFile(good))).toBe(true)
})

test('what a bundle says about itself', async () => {
  const found = await inspectBundle(tools, await readBundle(good))
  expect(found).toMatchObject({ manifest: manifestOf(payload), signingTimeSeconds, development: true })
  expect(found.signer.subject).toContain('OU=DEVELOPMENT - not for the field')
})

test('without a time given, the signature says the present', async () => {
  const options = { payload, signer: keys.signer, outPath: join(dir, 'now.raucb') }
  const found = await inspectBundle(tools, await readBundle(await signedBundle(tools, options)))
  expect(Math.abs(found.signingTimeSeconds! - Date.now() / 1000)).toBeLessThan(60)
})

describe('a bundle is refused', () => {
  test('that is cut off', async () => {
    const path = await damaged('cut', (name) => truncate(name, 30_000))
    await expect(check(path)).rejects.toThrow(`${path}: is cut off or not signed`)
  })

  test('that is empty', async () => {
    const path = await damaged('empty', (name) => truncate(name, 0))
    await expect(check(path)).rejects.toThrow(`${path}: 0 bytes are no bundle`)
  })

  test('that is another file', async () => {
    const path = await damaged('text', (name) => writeFile(name, 'x'.repeat(10_000)))
    await expect(check(path)).rejects.toThrow(`${path}: does not begin with a squashfs: no bundle`)
  })

  test('that is not there', async () => {
    await expect(check(join(dir, 'missing'))).rejects.toThrow('missing cannot be read: ENOENT')
  })

  test('with something behind its end', async () => {
    const path = await damaged('longer', (name) => appendFile(name, 'garbage!'))
    await expect(check(path)).rejects.toThrow('is cut off or not signed')
  })

  test('with one changed byte in an image', async () => {
    const path = await damaged('changed', (name) => overwrite(name, 50_000, '!'))
    await expect(check(path)).rejects.toThrow(`${path}: its contents are not what was signed`)
  })

  test('with one changed byte in the hash tree', async () => {
    const { payloadBytes } = await readBundle(good)
    const path = await damaged('tree', (name) => overwrite(name, payloadBytes - 4096, '!'))
    await expect(check(path)).rejects.toThrow(`${path}: its hash tree is damaged`)
  })

  test('with a changed manifest', async () => {
    const at = (await readFile(good)).lastIndexOf('version=1.2.3')
    const path = await damaged('manifest', (name) => overwrite(name, at, 'version=9.9.9'))
    await expect(check(path)).rejects.toThrow(`${path}: its signature does not fit its manifest`)
    expect(await judgeSignature(tools, { bundlePath: path, keyringPath: keys.keyringPath })).toMatchObject({
      accepted: false,
    })
  })

  test.each([
    ['nothing', '', 'is not signed: its signature has no bytes'],
    ['text', 'not a signature at all', 'its end is no signature'],
    ['a broken message', '0 not a signature at all', 'its signature cannot be read'],
  ])('with %s for a signature', async (name, text, message) => {
    const outPath = join(dir, `signed-by-${name}`)
    await writeBundle({ payloadPath: payload.path, signature: Buffer.from(text), outPath })
    await expect(check(outPath)).rejects.toThrow(message)
    const judgement = await judgeSignature(tools, { bundlePath: outPath, keyringPath: keys.keyringPath })
    expect(judgement.accepted).toBe(false)
  })

  test('in the plain format, which RAUC itself made', async () => {
    const bundlePath = join(dir, 'plain.raucb')
    const images = payload.images.map((image) => ({ ...image, path: join(dir, 'payload', image.filename) }))
    const manifest = manifestOf(payload)
    await writePlainBundle(tools, { manifest, images, signer: keys.signer, outPath: bundlePath })
    await expect(check(bundlePath)).rejects.toThrow('is in the plain format, which devices do not take')
    const { keyringPath } = keys
    const judgement = await extractBundle(tools, { bundlePath, keyringPath, outDir: join(dir, 'plain') })
    expect(judgement).toMatchObject({ accepted: false, reason: expect.stringMatching(/format.*plain/) })
  })
})
