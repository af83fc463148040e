import { X509Certificate } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { UserError } from '../errors.ts'
import type { ToolTree } from '../tools/tools.ts'
import { makePrivateKey, passphraseArguments, runOpenssl } from './openssl.ts'
import {
  type CertificateRole,
  type Revocation,
  renderDatabase,
  renderExtensions,
  renderListConfig,
  renderTime,
  renderValidity,
  type Validity,
} from './render.ts'

/** A folder with the key and the certificate of an authority, its revocation list, and the way up to its root. */
export interface Authority {
  readonly dir: string
  readonly certificate: X509Certificate
  readonly validity: Validity
  readonly revoked: readonly Revocation[]
}

/** What signs bundles: files, none of them in the image. */
export interface Signer {
  readonly keyPath: string
  readonly certificatePath: string
  /** Certificates between the signer's and the root, PEM, the nearest first; undefined or empty: there are none. */
  readonly chainPath?: string | undefined
  readonly passphrase?: string | undefined
}

/** Distinguished name, from the outermost part: `O=Example, OU=Gateways, CN=...`. Letters, digits, ` ._-`. */
export interface Subject {
  readonly organization: string
  readonly unit?: string | undefined
  readonly name: string
}

export interface Issuer {
  readonly authority: Authority
  readonly passphrase?: string | undefined
}

const names = {
  key: 'key.pem',
  certificate: 'certificate.pem',
  chain: 'chain.pem',
  list: 'crl.pem',
  facts: 'authority.json',
} as const

/** A new authority in `dir`, which must not be there yet: a root, or below `issuer`. */
export async function createAuthority(
  tools: ToolTree,
  options: {
    readonly dir: string
    readonly subject: Subject
    readonly validity: Validity
    readonly issuer?: Issuer | undefined
    readonly passphrase?: string | undefined
    readonly revoked?: readonly Revocation[]
  },
): Promise<Authority> {
  await inNewFolder(options.dir, async (dir) => {
    const role = { kind: options.issuer === undefined ? 'root' : 'intermediate' } as const
    await makeCertified(tools, { ...options, dir, role })
    const certificate = await readFile(join(dir, names.certificate), 'utf8')
    const above = options.issuer && (await readFile(join(options.issuer.authority.dir, names.chain), 'utf8'))
    await writeFile(join(dir, names.chain), options.issuer === undefined ? '' : certificate + above)
    const { validity, passphrase } = options
    await writeList(tools, { dir, validity, revoked: options.revoked ?? [], passphrase })
  })
  return readAuthority(options.dir)
}

/** Throws UserError when the folder holds none. */
export async function readAuthority(dir: string): Promise<Authority> {
  try {
    const facts = JSON.parse(await readFile(join(dir, names.facts), 'utf8')) as Omit<Authority, 'dir'>
    const certificate = new X509Certificate(await readFile(join(dir, names.certificate)))
    return { dir, certificate, validity: facts.validity, revoked: facts.revoked }
  } catch (cause) {
    throw new UserError(`${dir} holds no authority: ${(cause as Error).message}`, {
      hint: '`./atomixos keys init --production DIR` makes one',
      exitCode: 2,
      cause,
    })
  }
}

/** A key and a certificate that may sign bundles (or, for tests, may not), in a new folder. */
export async function issueSigner(
  tools: ToolTree,
  options: {
    readonly dir: string
    readonly subject: Subject
    readonly validity: Validity
    readonly issuer: Issuer
    /** Of the new key. */
    readonly passphrase?: string | undefined
    /** OpenSSL's name of the extended key usage; default `codeSigning`, the only one that devices accept. */
    readonly purpose?: string
  },
): Promise<Signer> {
  await inNewFolder(options.dir, async (dir) => {
    const role = { kind: 'signer', purpose: options.purpose ?? 'codeSigning' } as const
    await makeCertified(tools, { ...options, dir, role })
    const chain = await readFile(join(options.issuer.authority.dir, names.chain))
    await writeFile(join(dir, names.chain), chain)
  })
  return { ...signerAt(options.dir), passphrase: options.passphrase }
}

export function signerAt(dir: string): Signer {
  return {
    keyPath: join(dir, names.key),
    certificatePath: join(dir, names.certificate),
    chainPath: join(dir, names.chain),
  }
}

/** Adds a certificate to the authority's list and writes the list anew. Revoking twice changes nothing. */
export async function revokeCertificate(
  tools: ToolTree,
  issuer: Issuer,
  options: { readonly certificate: X509Certificate; readonly name: string; readonly atSeconds: number },
): Promise<Authority> {
  const { authority, passphrase } = issuer
  const { certificate, name, atSeconds } = options
  if (!certificate.checkIssued(authority.certificate)) {
    throw new UserError(`${name} was not issued by the authority in ${authority.dir}`, { exitCode: 2 })
  }
  const serial = certificate.serialNumber
  if (authority.revoked.some((known) => known.serial === serial)) return authority
  const revoked = [...authority.revoked, { serial, name, atSeconds }]
  await writeList(tools, { dir: authority.dir, validity: authority.validity, revoked, passphrase })
  return readAuthority(authority.dir)
}

/** What a device needs to judge by a root and the authorities below it: the root's certificate and all lists. PEM. */
export async function keyringOf(root: Authority, below: readonly Authority[]): Promise<string> {
  const lists = await Promise.all([root, ...below].map(({ dir }) => readFile(join(dir, names.list), 'utf8')))
  return root.certificate.toString() + lists.join('')
}

async function makeCertified(
  tools: ToolTree,
  options: {
    readonly dir: string
    readonly subject: Subject
    readonly validity: Validity
    readonly role: CertificateRole
    readonly issuer?: Issuer | undefined
    readonly passphrase?: string | undefined
  },
): Promise<void> {
  const { dir, passphrase, issuer } = options
  await makePrivateKey(tools, { path: join(dir, names.key), passphrase })
  await chmod(join(dir, names.key), 0o600)
  await using scratch = await scratchFolder(dir)
  await writeFile(join(scratch.path, 'openssl.cnf'), renderExtensions(options.role))
  const mounts = [
    { hostPath: dir, guestPath: '/new', writable: true },
    { hostPath: scratch.path, guestPath: '/scratch', writable: true },
    ...(issuer ? [{ hostPath: issuer.authority.dir, guestPath: '/issuer', writable: false }] : []),
  ]
  const request = [
    ...['req', '-new', '-sha256', '-config', '/scratch/openssl.cnf', '-subj', renderSubject(options.subject)],
    ...['-key', `/new/${names.key}`, ...passphraseArguments(passphrase)],
  ]
  const purpose = `to certify ${options.subject.name}`
  const out = ['-out', `/new/${names.certificate}`]
  if (issuer === undefined) {
    const validity = renderValidity(options.validity)
    const selfSigned = [...request, '-x509', '-extensions', 'extensions', ...validity, ...out]
    await runOpenssl(tools, { arguments: selfSigned, purpose, mounts, passphrase })
    return
  }
  const asked = [...request, '-out', '/scratch/request.pem']
  await runOpenssl(tools, { arguments: asked, purpose, mounts, passphrase })
  const signed = [
    ...['x509', '-req', '-sha256', '-in', '/scratch/request.pem'],
    ...['-CA', `/issuer/${names.certificate}`, '-CAkey', `/issuer/${names.key}`],
    ...passphraseArguments(issuer.passphrase),
    ...['-extfile', '/scratch/openssl.cnf', '-extensions', 'extensions'],
    ...[...renderValidity(options.validity), ...out],
  ]
  await runOpenssl(tools, { arguments: signed, purpose, mounts, passphrase: issuer.passphrase })
}

/**
 * A list holds from the authority's first second to its last. The time in a bundle's signature is what RAUC compares
 * it with: a list that begins on the day of a revocation would refuse every bundle signed before as "not yet valid",
 * and one that ends would refuse every bundle signed after.
 */
async function writeList(
  tools: ToolTree,
  options: {
    readonly dir: string
    readonly validity: Validity
    readonly revoked: readonly Revocation[]
    readonly passphrase?: string | undefined
  },
): Promise<void> {
  const { dir, validity, revoked, passphrase } = options
  await using scratch = await scratchFolder(dir)
  await writeFile(join(scratch.path, 'openssl.cnf'), renderListConfig('/scratch'))
  await writeFile(join(scratch.path, 'index.txt'), renderDatabase(revoked, validity.untilSeconds))
  const number = (revoked.length + 1).toString(16)
  await writeFile(
    join(scratch.path, 'crlnumber'),
    `${number.padStart(number.length + (number.length % 2), '0')}\n`,
  )
  await runOpenssl(tools, {
    arguments: [
      ...['ca', '-gencrl', '-config', '/scratch/openssl.cnf', '-out', `/scratch/${names.list}`],
      ...['-cert', `/authority/${names.certificate}`, '-keyfile', `/authority/${names.key}`],
      ...passphraseArguments(passphrase),
      ...['-crl_lastupdate', renderTime(validity.fromSeconds)],
      ...['-crl_nextupdate', renderTime(validity.untilSeconds)],
    ],
    purpose: `to write the revocation list of ${basename(dir)}`,
    mounts: [
      { hostPath: dir, guestPath: '/authority', writable: false },
      { hostPath: scratch.path, guestPath: '/scratch', writable: true },
    ],
    passphrase,
  })
  await writeFile(join(scratch.path, names.facts), `${JSON.stringify({ validity, revoked }, undefined, 2)}\n`)
  for (const name of [names.facts, names.list]) await rename(join(scratch.path, name), join(dir, name))
}

function renderSubject({ organization, unit, name }: Subject): string {
  const parts = [['O', organization], ...(unit === undefined ? [] : [['OU', unit]]), ['CN', name]]
  for (const [, value] of parts) {
    if (value !== undefined && /^[\w .-]{1,64}$/.test(value)) continue
    throw new UserError(`"${value}" cannot be part of a certificate's name`, {
      hint: 'use up to 64 letters, digits, spaces, points, hyphens and underscores',
      exitCode: 2,
    })
  }
  return parts.map(([key, value]) => `/${key}=${value}`).join('')
}

/** Made beside and renamed, so that an interrupted attempt does not pass for a whole one. */
async function inNewFolder(dir: string, make: (dir: string) => Promise<void>): Promise<void> {
  if (existsSync(dir)) {
    throw new UserError(`${dir} is there already`, {
      hint: 'keys are never overwritten: choose another name',
      exitCode: 2,
    })
  }
  await mkdir(dirname(dir), { recursive: true })
  const unfinished = await mkdtemp(`${dir}.new-`)
  try {
    await make(unfinished)
    await rename(unfinished, dir)
  } finally {
    await rm(unfinished, { recursive: true, force: true })
  }
}

/** Beside the keys, on the same file system: what is finished is renamed into place. */
async function scratchFolder(dir: string): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(dirname(dir), '.scratch-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}
