import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { issueSigner, type Signer } from '../keys/authority.ts'
import { type DevelopmentKeys, ensureDevelopmentKeys } from '../keys/development.ts'
import {
  createProductionKeys,
  createSigner,
  type ProductionKeys,
  productionKeyring,
  revokeNamed,
} from '../keys/production.ts'
import { openTestInputs } from '../tools/test-inputs.ts'
import type { ToolTree } from '../tools/tools.ts'
import { checkReleaseKeys } from './release.ts'

const day = 24 * 3600
const nowSeconds = Math.floor(Date.now() / 1000)
const passphrases = { root: 'root secret', intermediate: 'middle secret', signer: 'signer secret' }

let tools: ToolTree
let dir: string
let development: DevelopmentKeys
let pki: string
let field: ProductionKeys
let good: Signer
let keyring: string
beforeAll(async () => {
  tools = await (await openTestInputs()).toolTree('tools')
  dir = await mkdtemp(join(tmpdir(), 'atomixos-release-'))
  development = await ensureDevelopmentKeys(tools, { dir: join(dir, 'development') })
  pki = join(dir, 'pki')
  const options = { dir: pki, organization: 'Example', signerName: 'first', passphrases, nowSeconds }
  field = await createProductionKeys(tools, options)
  good = { ...field.signers[0]!.signer, passphrase: passphrases.signer }
  keyring = await productionKeyring([pki])
})
afterAll(() => rm(dir, { recursive: true, force: true }))

/** The problems, one to a line; files by name only. */
async function problems(
  signer: Signer,
  keyringText = keyring,
  signingTimeSeconds = nowSeconds,
): Promise<string> {
  const keyringPath = join(dir, 'keyring.pem')
  await writeFile(keyringPath, keyringText)
  try {
    await checkReleaseKeys(tools, { keys: { keyringPath, signer }, development, signingTimeSeconds })
    return ''
  } catch (error) {
    expect(error).toMatchObject({ exitCode: 2 })
    const [heading, ...lines] = (error as Error).message.split('\n')
    expect(heading).toBe('no release can be made with these keys')
    return lines.join('\n').replaceAll(/\S*\/([^/\s:]+)/g, '$1')
  }
}

test('good keys are good', async () => {
  expect(await problems(good)).toBe('')
})

test('the development authority in the keyring', async () => {
  expect(await problems(good, keyring + development.keyring)).toContain(
    'keyring.pem holds a development authority (O=AtomixOS, OU=DEVELOPMENT - not for the field,',
  )
})

test('development keys', async () => {
  expect(await problems(development.signer)).toBe('certificate.pem is a development certificate')
})

test('a keyring without certificates, or without lists', async () => {
  expect(await problems(good, '')).toBe(
    'keyring.pem holds no certificate: devices would take no update\nkeyring.pem holds no revocation list: devices would take no update',
  )
  expect(await problems(good, field.root.certificate.toString())).toBe(
    'keyring.pem holds no revocation list: devices would take no update',
  )
})

test('a keyring with an old list beside the new one', async () => {
  expect(await problems(good, keyring + keyring)).toContain(
    'keyring.pem holds two revocation lists of "CN=Example update root',
  )
})

test('a key that belongs to another certificate', async () => {
  const options = { dir: pki, name: 'second', issuer: field.intermediate, passphrases, nowSeconds }
  const other = await createSigner(tools, options)
  expect(await problems({ ...good, keyPath: other.keyPath })).toBe(
    'key.pem is not the key of certificate.pem',
  )
})

test('a key with a passphrase, and none or a wrong one given', async () => {
  const { passphrase: _, ...without } = good
  expect(await problems(without)).toContain(
    'key.pem cannot be opened: it has a passphrase; give it with --signing-passphrase-file FILE',
  )
  expect(await problems({ ...good, passphrase: 'wrong' })).toContain('key.pem cannot be opened: ')
})

test('a certificate that has expired, or is not for signing code', async () => {
  expect(await problems(good, keyring, nowSeconds + 5 * 365 * day)).toContain(
    'certificate.pem has expired on',
  )
  const mail = await issueSigner(tools, {
    dir: join(dir, 'mail'),
    subject: { organization: 'Example', name: 'mail' },
    validity: field.intermediate.validity,
    issuer: { authority: field.intermediate, passphrase: passphrases.intermediate },
    purpose: 'emailProtection',
  })
  expect(await problems(mail)).toBe('certificate.pem is not for signing code')
})

test('a signer of another root, or without the certificates in between', async () => {
  const { chainPath: _, ...alone } = good
  const refused = 'devices with keyring.pem would refuse certificate.pem: '
  expect(await problems(alone)).toContain(`${refused}signature verification failed`)
  const other = join(dir, 'other')
  const options = { dir: other, organization: 'Other', signerName: 'first', passphrases, nowSeconds }
  const { signers } = await createProductionKeys(tools, options)
  expect(await problems({ ...signers[0]!.signer, passphrase: passphrases.signer })).toContain(refused)
})

test('a revoked signer', async () => {
  const options = { dir: pki, name: 'third', issuer: field.intermediate, passphrases, nowSeconds }
  const stolen = await createSigner(tools, options)
  const issuerPassphrase = passphrases.intermediate
  await revokeNamed(tools, { dir: pki, name: 'third', issuerPassphrase, nowSeconds })
  const signer = { ...stolen, passphrase: passphrases.signer }
  expect(await problems(signer, await productionKeyring([pki]))).toContain('certificate revoked')
})
