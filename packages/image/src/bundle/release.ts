import { createPrivateKey, type X509Certificate } from 'node:crypto'
import { UserError } from '../errors.ts'
import type { Signer } from '../keys/authority.ts'
import {
  certificateName,
  isCodeSigning,
  parseCertificates,
  readCertificate,
  readPem,
  validityOf,
} from '../keys/certificate.ts'
import { type DevelopmentKeys, developmentUnit } from '../keys/development.ts'
import { listIssuers } from '../keys/keyring.ts'
import type { ToolTree } from '../tools/tools.ts'
import { judgeSigner } from './probe.ts'

export interface ReleaseKeys {
  readonly keyringPath: string
  readonly signer: Signer
}

/**
 * Everything that speaks against a release with these keys, found before anything is built: a device in the field
 * that has the wrong keyring takes updates from strangers, or from nobody. Gives the keyring's text; throws UserError
 * (exit code 2) that names all problems.
 */
export async function checkReleaseKeys(
  tools: ToolTree,
  options: {
    readonly keys: ReleaseKeys
    /** Must be refused by the keyring. */
    readonly development: DevelopmentKeys
    readonly signingTimeSeconds: number
  },
): Promise<string> {
  const { keys, development, signingTimeSeconds } = options
  const { keyringPath, signer } = keys
  const keyring = await readPem(keyringPath)
  const certificate = await readCertificate(signer.certificatePath)
  const problems = [
    ...keyringProblems(parseCertificates(keyring, keyringPath), keyringPath),
    ...(await listProblems(tools, keyring, keyringPath)),
    ...certificateProblems(certificate, signer.certificatePath, signingTimeSeconds),
    ...(await keyProblems(certificate, signer)),
  ]
  // RAUC has the last word, once what can be said more clearly has been said.
  if (problems.length === 0) {
    const own = await judgeSigner(tools, { signer, keyring, signingTimeSeconds })
    if (!own.accepted) {
      const why =
        signer.chainPath === undefined ? `${own.reason} (below an intermediate it needs a chain)` : own.reason
      problems.push(`devices with ${keyringPath} would refuse ${signer.certificatePath}: ${why}`)
    }
    const stranger = await judgeSigner(tools, { signer: development.signer, keyring })
    if (stranger.accepted) problems.push(`devices with ${keyringPath} would take development bundles`)
  }
  if (problems.length === 0) return keyring
  throw new UserError(`no release can be made with these keys\n${problems.join('\n')}`, {
    hint: 'docs/keys.md tells how to make and keep them: `./atomixos keys init --production DIR`, `./atomixos keys keyring DIR -o keyring.pem`',
    exitCode: 2,
  })
}

function keyringProblems(certificates: readonly X509Certificate[], path: string): string[] {
  if (certificates.length === 0) return [`${path} holds no certificate: devices would take no update`]
  return certificates
    .filter((certificate) => isDevelopment(certificate))
    .map((certificate) => `${path} holds a development authority (${certificateName(certificate)})`)
}

async function listProblems(tools: ToolTree, keyring: string, path: string): Promise<string[]> {
  const issuers = await listIssuers(tools, keyring)
  if (issuers.length === 0) return [`${path} holds no revocation list: devices would take no update`]
  const twice = issuers.filter((issuer, index) => issuers.indexOf(issuer) !== index)
  return [...new Set(twice)].map(
    (issuer) => `${path} holds two revocation lists of "${issuer}", and devices would look at only one`,
  )
}

function certificateProblems(certificate: X509Certificate, path: string, atSeconds: number): string[] {
  const { fromSeconds, untilSeconds } = validityOf(certificate)
  const problems: string[] = []
  if (isDevelopment(certificate)) problems.push(`${path} is a development certificate`)
  if (!isCodeSigning(certificate)) problems.push(`${path} is not for signing code`)
  if (untilSeconds < atSeconds) problems.push(`${path} has expired on ${certificate.validTo}`)
  if (fromSeconds > atSeconds) problems.push(`${path} is not valid before ${certificate.validFrom}`)
  return problems
}

async function keyProblems(certificate: X509Certificate, signer: Signer): Promise<string[]> {
  const key = await readPem(signer.keyPath)
  try {
    const { passphrase } = signer
    const opened = createPrivateKey(passphrase === undefined ? key : { key, passphrase })
    if (certificate.checkPrivateKey(opened)) return []
    return [`${signer.keyPath} is not the key of ${signer.certificatePath}`]
  } catch (error) {
    const why =
      signer.passphrase === undefined && key.includes('ENCRYPTED')
        ? 'it has a passphrase; give it with --signing-passphrase-file FILE or ATOMIXOS_SIGNER_PASSPHRASE'
        : (error as Error).message
    return [`${signer.keyPath} cannot be opened: ${why}`]
  }
}

function isDevelopment(certificate: X509Certificate): boolean {
  return [certificate.subject, certificate.issuer].some((name) => name.includes(developmentUnit))
}
