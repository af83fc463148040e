import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { UserError } from '../errors.ts'
import type { ToolTree } from '../tools/tools.ts'
import {
  type Authority,
  createAuthority,
  issueSigner,
  keyringOf,
  readAuthority,
  revokeCertificate,
  type Signer,
  signerAt,
} from './authority.ts'
import { readCertificate, validityOf } from './certificate.ts'

/**
 * Keys for the field, in a folder of the owner's choice: `root/`, which is taken away to a safe after `init`,
 * `intermediate/`, which certifies signers, and `signers/NAME/`. The root is needed again only to revoke the
 * intermediate.
 */
export interface ProductionKeys {
  readonly root: Authority
  readonly intermediate: Authority
  readonly signers: readonly { readonly name: string; readonly signer: Signer }[]
}

export interface Passphrases {
  readonly root: string
  readonly intermediate: string
  readonly signer: string
}

const yearSeconds = 365.25 * 24 * 3600
const lifetimes = { root: 25 * yearSeconds, intermediate: 20 * yearSeconds, signer: 3 * yearSeconds }

export async function createProductionKeys(
  tools: ToolTree,
  options: {
    readonly dir: string
    readonly organization: string
    readonly signerName: string
    readonly passphrases: Passphrases
    readonly nowSeconds: number
  },
): Promise<ProductionKeys> {
  const { dir, organization, passphrases, nowSeconds } = options
  // In the name: two roots of one organization, the old and the new, must not be taken for each other.
  const year = new Date(nowSeconds * 1000).toISOString().slice(0, 10)
  const root = await createAuthority(tools, {
    dir: join(dir, 'root'),
    subject: { organization, name: `${organization} update root ${year}` },
    validity: lifetime(nowSeconds, lifetimes.root),
    passphrase: passphrases.root,
  })
  const intermediate = await createAuthority(tools, {
    dir: join(dir, 'intermediate'),
    subject: { organization, name: `${organization} update intermediate ${year}` },
    validity: lifetime(nowSeconds, lifetimes.intermediate),
    issuer: { authority: root, passphrase: passphrases.root },
    passphrase: passphrases.intermediate,
  })
  await createSigner(tools, { ...options, name: options.signerName, issuer: intermediate })
  return readProductionKeys(dir)
}

/** Certifies one more signer; needs the intermediate's passphrase and one for the new key. */
export async function createSigner(
  tools: ToolTree,
  options: {
    readonly dir: string
    readonly name: string
    readonly issuer: Authority
    readonly passphrases: Pick<Passphrases, 'intermediate' | 'signer'>
    readonly nowSeconds: number
    /** In seconds; never beyond the intermediate's end. Default three years. */
    readonly lifetimeSeconds?: number
  },
): Promise<Signer> {
  const { dir, name, issuer, passphrases, nowSeconds } = options
  refuseBadName(name)
  const validity = lifetime(nowSeconds, options.lifetimeSeconds ?? lifetimes.signer)
  return issueSigner(tools, {
    dir: join(dir, 'signers', name),
    subject: { organization: organizationOf(issuer), name },
    validity: { ...validity, untilSeconds: Math.min(validity.untilSeconds, issuer.validity.untilSeconds) },
    issuer: { authority: issuer, passphrase: passphrases.intermediate },
    passphrase: passphrases.signer,
  })
}

/** Puts a signer, or `intermediate`, on its authority's list; the keyring must then be made again. */
export async function revokeNamed(
  tools: ToolTree,
  options: {
    readonly dir: string
    readonly name: string
    /** Of the authority that issued it: the root for `intermediate`, the intermediate for a signer. */
    readonly issuerPassphrase: string
    readonly nowSeconds: number
  },
): Promise<Authority> {
  const { dir, name, issuerPassphrase, nowSeconds } = options
  const isIntermediate = name === 'intermediate'
  const folder = isIntermediate ? join(dir, 'intermediate') : join(dir, 'signers', name)
  if (!existsSync(folder)) {
    const { signers } = await readProductionKeys(dir)
    throw new UserError(`${dir} has no signer "${name}"`, {
      hint: `there are: ${[...signers.map((known) => known.name), 'intermediate'].join(', ')}`,
      exitCode: 2,
    })
  }
  const authority = await readAuthority(join(dir, isIntermediate ? 'root' : 'intermediate'))
  return revokeCertificate(
    tools,
    { authority, passphrase: issuerPassphrase },
    {
      certificate: await readCertificate(join(folder, 'certificate.pem')),
      name,
      atSeconds: nowSeconds,
    },
  )
}

export async function readProductionKeys(dir: string): Promise<ProductionKeys> {
  const [root, intermediate] = await Promise.all([
    readAuthority(join(dir, 'root')),
    readAuthority(join(dir, 'intermediate')),
  ])
  const names = await readdir(join(dir, 'signers')).catch(() => [])
  const signers = names
    .filter((name) => isName(name))
    .sort()
    .map((name) => ({ name, signer: signerAt(join(dir, 'signers', name)) }))
  return { root, intermediate, signers }
}

/** What goes into the image: roots and lists of all given folders. Several folders: devices accept signers of each. */
export async function productionKeyring(dirs: readonly string[]): Promise<string> {
  const keyrings: string[] = []
  const roots = new Set<string>()
  for (const dir of dirs) {
    const { root, intermediate } = await readProductionKeys(dir)
    if (roots.has(root.certificate.fingerprint256)) {
      throw new UserError(`${dir} has a root that is there already`, {
        hint: 'devices look at one revocation list of each authority: give only the folder in which you revoke',
        exitCode: 2,
      })
    }
    roots.add(root.certificate.fingerprint256)
    keyrings.push(await keyringOf(root, [intermediate]))
  }
  return keyrings.join('')
}

export interface SignerState {
  readonly name: string
  readonly state: 'valid' | 'expired' | 'revoked'
  readonly untilSeconds: number
}

export async function signerStates(keys: ProductionKeys, nowSeconds: number): Promise<SignerState[]> {
  const revoked = new Set(keys.intermediate.revoked.map(({ serial }) => serial))
  return Promise.all(
    keys.signers.map(async ({ name, signer }) => {
      const certificate = await readCertificate(signer.certificatePath)
      const { untilSeconds } = validityOf(certificate)
      const expired = untilSeconds < nowSeconds
      const state = revoked.has(certificate.serialNumber) ? 'revoked' : expired ? 'expired' : 'valid'
      return { name, state, untilSeconds }
    }),
  )
}

function organizationOf(authority: Authority): string {
  return /^O=(.*)$/m.exec(authority.certificate.subject)?.[1] ?? 'unknown'
}

/** A day ago: the clock of the machine that signs first may be a little behind. */
function lifetime(nowSeconds: number, seconds: number) {
  const day = 24 * 3600
  const fromSeconds = Math.floor(nowSeconds / day) * day - day
  return { fromSeconds, untilSeconds: fromSeconds + Math.round(seconds) }
}

function isName(name: string): boolean {
  return /^[A-Za-z0-9][\w-]{0,62}$/.test(name)
}

function refuseBadName(name: string): void {
  if (isName(name) && name !== 'intermediate') return
  throw new UserError(`"${name}" cannot be the name of a signer`, {
    hint: 'use up to 63 letters, digits, hyphens and underscores, for example "release-2026"',
    exitCode: 2,
  })
}
