import type { X509Certificate } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { UserError } from '../errors.ts'
import { readCertificates } from '../keys/certificate.ts'
import { developmentUnit } from '../keys/development.ts'
import { runOpenssl } from '../keys/openssl.ts'
import { ProgramFailed } from '../tools/process.ts'
import type { ToolTree } from '../tools/tools.ts'
import { type BundleManifest, parseBundleManifest } from './manifest.ts'
import type { BundleParts } from './read.ts'

/** What a bundle says about itself. The signature fits the manifest; who the signer is has not been judged. */
export interface InspectedBundle {
  readonly manifest: BundleManifest
  /** As in the bundle: the signer, and authorities up to the root. */
  readonly signer: X509Certificate
  readonly certificates: readonly X509Certificate[]
  /** Undefined: the signature says nothing about it. */
  readonly signingTimeSeconds: number | undefined
  /** Signed by a key that anybody may have. */
  readonly development: boolean
}

/** Throws UserError (exit code 2) when the signature is none, or does not fit what it signs. */
export async function inspectBundle(tools: ToolTree, bundle: BundleParts): Promise<InspectedBundle> {
  const dir = await mkdtemp(join(tmpdir(), 'atomixos-inspect-'))
  try {
    await writeFile(join(dir, 'signature'), bundle.signature)
    const cms = (purpose: string, words: readonly string[]) =>
      runOpenssl(tools, {
        arguments: ['cms', '-inform', 'DER', '-in', '/scratch/signature', ...words],
        purpose,
        mounts: [{ hostPath: dir, guestPath: '/scratch', writable: true }],
      })
    const shown = await cms('to read the signature', ['-cmsout', '-print', '-noout']).catch(
      refuse('its signature cannot be read'),
    )
    if (/eContent: <ABSENT>/.test(shown)) {
      throw broken('is in the plain format, which devices do not take: its manifest is not in the signature')
    }
    await cms('to check the signature against the manifest', [
      ...['-verify', '-binary', '-noverify', '-out', '/scratch/manifest'],
      ...['-signer', '/scratch/signer.pem', '-certsout', '/scratch/certificates.pem'],
    ]).catch(refuse('its signature does not fit its manifest'))
    const parsed = parseBundleManifest(await readFile(join(dir, 'manifest'), 'utf8'))
    if ('problem' in parsed) throw broken(parsed.problem)
    const [signer] = await readCertificates(join(dir, 'signer.pem'))
    if (signer === undefined) throw broken('its signature does not hold the certificate of the signer')
    return {
      manifest: parsed.manifest,
      signer,
      certificates: await readCertificates(join(dir, 'certificates.pem')),
      signingTimeSeconds: parseSigningTime(shown),
      development: signer.subject.includes(developmentUnit),
    }
  } finally {
    await rm(dir, { recursive: true, force: true })
  }

  function broken(what: string, cause?: unknown): UserError {
    return new UserError(`${bundle.path}: ${what}`, { exitCode: 2, cause })
  }

  function refuse(what: string): (error: unknown) => never {
    return (error) => {
      throw error instanceof ProgramFailed ? broken(what, error) : error
    }
  }
}

/** From OpenSSL's description of a CMS message: `UTCTIME:Nov 21 02:10:46 2026 GMT`. Seconds since 1970. */
export function parseSigningTime(shown: string): number | undefined {
  const text = /object: signingTime[\s\S]*?(?:UTCTIME|GENERALIZEDTIME):(.+ GMT)/.exec(shown)?.[1]
  const milliseconds = text === undefined ? Number.NaN : Date.parse(text)
  return Number.isNaN(milliseconds) ? undefined : milliseconds / 1000
}
