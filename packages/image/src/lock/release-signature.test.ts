import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createCleartextMessage, generateKey, readKeys, readPrivateKey, sign } from 'openpgp'
import { describe, expect, test } from 'vitest'
import { scratchDir } from '../tools/test-inputs.ts'
import { archiveKeysPath, verifyRelease } from './release-signature.ts'

const release = `Origin: Debian
Codename: trixie
Date: Sat, 12 Sep 2026 07:55:41 UTC
Valid-Until: Sat, 19 Sep 2026 07:55:41 UTC
SHA256:
 ${'ab'.repeat(32)}  1234 main/binary-arm64/Packages.xz
`
const at = (date: string) => Date.parse(`${date}T12:00:00Z`)

async function signedRelease(dir: string) {
  const date = new Date(at('2026-09-12'))
  const { privateKey, publicKey } = await generateKey({ userIDs: [{ name: 'test' }], date })
  const message = await createCleartextMessage({ text: release })
  const signingKeys = await readPrivateKey({ armoredKey: privateKey })
  const keysPath = join(dir, 'keys.asc')
  await writeFile(keysPath, publicKey)
  return { text: await sign({ message, signingKeys, date }), keysPath }
}

describe('a Release file', () => {
  test('signed by a known key is taken, in the words that were signed', async () => {
    await using dir = await scratchDir()
    const { text, keysPath } = await signedRelease(dir.path)
    expect(await verifyRelease(text, 'x', at('2026-09-13'), keysPath)).toBe(release)
  })

  test.each([
    [
      'changed by one letter',
      (text: string) => text.replace('trixie', 'trixia'),
      'x is not signed by Debian',
    ],
    ['without a signature', () => release, /^x carries no signature: /],
  ])('%s is refused', async (_, change, message) => {
    await using dir = await scratchDir()
    const { text, keysPath } = await signedRelease(dir.path)
    await expect(verifyRelease(change(text), 'x', at('2026-09-13'), keysPath)).rejects.toThrow(message)
  })

  test('signed by somebody else is refused', async () => {
    await using dir = await scratchDir()
    const { text } = await signedRelease(dir.path)
    await expect(verifyRelease(text, 'x', at('2026-09-13'))).rejects.toThrow('x is not signed by Debian')
  })

  test('that is too old is refused', async () => {
    await using dir = await scratchDir()
    const { text, keysPath } = await signedRelease(dir.path)
    await expect(verifyRelease(text, 'x', at('2026-09-20'), keysPath)).rejects.toThrow(
      'x was valid until Sat, 19 Sep 2026 07:55:41 UTC: it is too old to be trusted',
    )
  })
})

test('the archive keys of this repository are those of Debian 13', async () => {
  const keys = await readKeys({ armoredKeys: await readFile(archiveKeysPath, 'utf8') })
  expect(keys.map((key) => [key.getFingerprint(), key.getUserIDs()[0]])).toEqual([
    [
      '04b54c3cdca79751b16bc6b5225629df75b188bd',
      'Debian Archive Automatic Signing Key (13/trixie) <ftpmaster@debian.org>',
    ],
    [
      '5e04a1e3223a19a20706e20f9904613d4cce68c6',
      'Debian Security Archive Automatic Signing Key (13/trixie) <ftpmaster@debian.org>',
    ],
    [
      '41587f7db8c774bccf131416762f67a0b2c39de4',
      'Debian Stable Release Key (13/trixie) <debian-release@lists.debian.org>',
    ],
  ])
})
