import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { UserError } from '../errors.ts'

/** Code signing; Node names extended key usages by their ids. */
const codeSigningId = '1.3.6.1.5.5.7.3.3'

/** The first certificate of a PEM file; throws UserError. */
export async function readCertificate(path: string): Promise<X509Certificate> {
  const [certificate] = await readCertificates(path)
  if (certificate !== undefined) return certificate
  throw new UserError(`${path} holds no certificate`, { hint: 'it must be PEM', exitCode: 2 })
}

/** All certificates of a PEM file, in its order; throws UserError. */
export async function readCertificates(path: string): Promise<X509Certificate[]> {
  return parseCertificates(await readPem(path), path)
}

/** The text of a file that a person named; throws UserError. */
export async function readPem(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new UserError(`${path} cannot be read: ${cause.code ?? cause.message}`, { exitCode: 2, cause })
  })
}

export function parseCertificates(pem: string, where: string): X509Certificate[] {
  return pemBlocks(pem, 'CERTIFICATE').map((block) => {
    try {
      return new X509Certificate(block)
    } catch (cause) {
      throw new UserError(`${where} holds a certificate that cannot be read: ${(cause as Error).message}`, {
        exitCode: 2,
        cause,
      })
    }
  })
}

export function pemBlocks(pem: string, label: 'CERTIFICATE' | 'X509 CRL'): string[] {
  return pem.match(new RegExp(`-----BEGIN ${label}-----[^-]+-----END ${label}-----`, 'g')) ?? []
}

/** `CN` and all other parts in one line, as people read it. */
export function certificateName(certificate: X509Certificate): string {
  return certificate.subject.split('\n').join(', ')
}

export function isCodeSigning(certificate: X509Certificate): boolean {
  return certificate.keyUsage?.includes(codeSigningId) ?? false
}

export function validityOf(certificate: X509Certificate): { fromSeconds: number; untilSeconds: number } {
  return {
    fromSeconds: Date.parse(certificate.validFrom) / 1000,
    untilSeconds: Date.parse(certificate.validTo) / 1000,
  }
}
