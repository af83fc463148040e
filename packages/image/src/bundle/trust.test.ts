import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Authority, createAuthority, issueSigner, keyringOf, type Signer } from '../keys/authority.ts'
import { type DevelopmentKeys, ensureDevelopmentKeys } from '../keys/development.ts'
import {
  createProductionKeys,
  createSigner,
  type ProductionKeys,
  productionKeyring,
  readProductionKeys,
  revokeNamed,
  signerStates,
} from '../keys/production.ts'
import { openTestInputs } from '../tools/test-inputs.ts'
import type { ToolTree } from '../tools/tools.ts'
import type { Payload } from './payload.ts'
import { signedBundle, smallPayload } from './test-bundles.ts'
import { extractBundle, judgeSignature } from './verify.ts'

/** Whom a device trusts, as the real RAUC judges it with a device's settings. */

const day = 24 * 3600
const nowSeconds = Math.floor(Date.now() / 1000)
const passphrases = { root: 'root secret', intermediate: 'middle secret', signer: 'signer secret' }

let tools: ToolTree
let dir: string
let payload: Payload
let development: DevelopmentKeys
let fieldDir: string
let field: ProductionKeys
beforeAll(async () => {
  tools = await (await openTestInputs()).toolTree('tools')
  dir = await mkdtemp(join(tmpdir(), 'atomixos-trust-'))
  payload = await smallPayload(join(dir, 'payload'))
  development = await ensureDevelopmentKeys(tools, { dir: join(dir, 'development') })
  fieldDir = join(dir, 'field')
  const options = { dir: fieldDir, organization: 'Example', signerName: 'first', passphrases, nowSeconds }
  field = await createProductionKeys(tools, options)
})
afterAll(() => rm(dir, { recursive: true, force: true }))

let count = 0
async function judge(signer: Signer, keyring: string, signingTimeSeconds?: number): Promise<string> {
  count += 1
  const name = join(dir, String(count))
  await writeFile(`${name}.pem`, keyring)
  const time = signingTimeSeconds === undefined ? {} : { signingTimeSeconds }
  const bundlePath = await signedBundle(tools, { payload, signer, outPath: `${name}.raucb`, ...time })
  const judgement = await judgeSignature(tools, { bundlePath, keyringPath: `${name}.pem` })
  return judgement.accepted ? 'accepted' : judgement.reason
}

function withPassphrase(signer: Signer): Signer {
  return { ...signer, passphrase: passphrases.signer }
}

describe('development keys', () => {
  test('the signer is accepted, and RAUC unpacks the whole bundle', async () => {
    const bundlePath = join(dir, 'good.raucb')
    await signedBundle(tools, { payload, signer: development.signer, outPath: bundlePath })
    const keyringPath = development.keyringPath
    expect(await extractBundle(tools, { bundlePath, keyringPath, outDir: join(dir, 'out') })).toEqual({
      accepted: true,
    })
  })

  test('the revoked signer is refused', async () => {
    expect(await judge(development.revokedSigner, development.keyring)).toContain('certificate revoked')
  })

  test.each([
    ['of the year 2021', Date.UTC(2021, 0, 1) / 1000],
    ['of the year 2045', Date.UTC(2045, 0, 1) / 1000],
  ])('a signature %s is accepted: the list is neither young nor expired', async (_, seconds) => {
    expect(await judge(development.signer, development.keyring, seconds)).toBe('accepted')
  })

  test('a second call gives the same keys', async () => {
    const again = await ensureDevelopmentKeys(tools, { dir: join(dir, 'development') })
    expect(again.keyring).toBe(development.keyring)
  })

  test('another checkout has other keys, which are refused', async () => {
    const other = await ensureDevelopmentKeys(tools, { dir: join(dir, 'other') })
    expect(await judge(other.signer, development.keyring)).toContain('unable to get local issuer certificate')
  })
})

describe('the list of revocations', () => {
  // Made by hand as nobody should: what our lists avoid is real.
  let authority: Authority
  const validity = { fromSeconds: nowSeconds - 100 * day, untilSeconds: nowSeconds + 100 * day }
  let signer: Signer
  beforeAll(async () => {
    const subject = { organization: 'Example', name: 'lists' }
    authority = await createAuthority(tools, { dir: join(dir, 'lists'), subject, validity })
    const issuer = { authority }
    signer = await issueSigner(tools, { dir: join(dir, 'lists-signer'), subject, validity, issuer })
  })

  test('that begins after the signing time refuses the bundle', async () => {
    const keyring = await keyringOf(authority, [])
    expect(await judge(signer, keyring, validity.fromSeconds - day)).toMatch(/not yet valid/)
  })

  test('must be there', async () => {
    const keyring = authority.certificate.toString()
    expect(await judge(signer, keyring)).toContain('unable to get certificate CRL')
  })
})

describe('a signer', () => {
  const validity = { fromSeconds: nowSeconds - 100 * day, untilSeconds: nowSeconds - 50 * day }
  const issue = (name: string, options: { expired?: boolean; purpose?: string }) =>
    issueSigner(tools, {
      dir: join(dir, name),
      subject: { organization: 'Example', name },
      validity: options.expired ? validity : development.authority.validity,
      issuer: { authority: development.authority },
      ...(options.purpose === undefined ? {} : { purpose: options.purpose }),
    })

  test('that has expired is refused, and what it signed before is not', async () => {
    const expired = await issue('expired', { expired: true })
    expect(await judge(expired, development.keyring)).toContain('certificate has expired')
    expect(await judge(expired, development.keyring, validity.untilSeconds - day)).toBe('accepted')
  })

  test('for another purpose than code is refused', async () => {
    const wrong = await issue('wrong-purpose', { purpose: 'emailProtection' })
    expect(await judge(wrong, development.keyring)).toMatch(/unsuitable certificate purpose/)
  })
})

describe('production keys', () => {
  test('a signer below the intermediate is accepted by its keyring, and not by the development one', async () => {
    const signer = withPassphrase(field.signers[0]!.signer)
    expect(await judge(signer, await productionKeyring([fieldDir]))).toBe('accepted')
    expect(await judge(signer, development.keyring)).not.toBe('accepted')
  })

  test('a key cannot be used without its passphrase', async () => {
    const signer = { ...field.signers[0]!.signer, passphrase: 'wrong' }
    await expect(judge(signer, '')).rejects.toThrow('to sign the bundle: exit code')
  })

  test('a roll-over: a keyring of both roots takes old and new, the old one takes only the old', async () => {
    const newDir = join(dir, 'field-new')
    const options = { dir: newDir, organization: 'Example', signerName: 'second', passphrases, nowSeconds }
    const newer = await createProductionKeys(tools, options)
    const [oldSigner, newSigner] = [field, newer].map(({ signers }) => withPassphrase(signers[0]!.signer))
    const both = await productionKeyring([fieldDir, newDir])
    expect(await judge(oldSigner!, both)).toBe('accepted')
    expect(await judge(newSigner!, both)).toBe('accepted')
    expect(await judge(newSigner!, await productionKeyring([fieldDir]))).not.toBe('accepted')
    expect(await judge(oldSigner!, await productionKeyring([newDir]))).not.toBe('accepted')
  })

  test('a revoked signer is refused, with bundles it signed long ago; its colleagues are not', async () => {
    const issuer = field.intermediate
    const stolen = await createSigner(tools, {
      dir: fieldDir,
      name: 'stolen',
      issuer,
      passphrases,
      nowSeconds,
    })
    const before = await productionKeyring([fieldDir])
    expect(await judge(withPassphrase(stolen), before)).toBe('accepted')
    const revocation = { dir: fieldDir, name: 'stolen', nowSeconds }
    await revokeNamed(tools, { ...revocation, issuerPassphrase: passphrases.intermediate })
    const after = await productionKeyring([fieldDir])
    expect(await judge(withPassphrase(stolen), after)).toContain('certificate revoked')
    expect(await judge(withPassphrase(stolen), after, nowSeconds - day)).toContain('certificate revoked')
    expect(await judge(withPassphrase(field.signers[0]!.signer), after)).toBe('accepted')
    const states = await signerStates(await readProductionKeys(fieldDir), nowSeconds)
    expect(states.map(({ name, state }) => [name, state])).toEqual([
      ['first', 'valid'],
      ['stolen', 'revoked'],
    ])
  })

  test('a revoked intermediate takes all its signers with it', async () => {
    const goneDir = join(dir, 'field-gone')
    const options = { dir: goneDir, organization: 'Example', signerName: 'third', passphrases, nowSeconds }
    const { signers } = await createProductionKeys(tools, options)
    const revocation = { dir: goneDir, name: 'intermediate', nowSeconds }
    await revokeNamed(tools, { ...revocation, issuerPassphrase: passphrases.root })
    const keyring = await productionKeyring([goneDir])
    expect(await judge(withPassphrase(signers[0]!.signer), keyring)).toContain('certificate revoked')
  })

  test('whom nobody certified cannot be revoked', async () => {
    const revocation = { dir: fieldDir, name: 'nobody', nowSeconds, issuerPassphrase: '' }
    await expect(revokeNamed(tools, revocation)).rejects.toThrow(`${fieldDir} has no signer "nobody"`)
  })
})
