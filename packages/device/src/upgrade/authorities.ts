import { readFile } from 'node:fs/promises'

/** Debian's collection of public authorities. */
export const publicAuthoritiesPath = '/etc/ssl/certs/ca-certificates.crt'

export interface AuthorityPaths {
  /** One file with the public authorities. */
  readonly public: string
  /** Made by hand; need not be there. */
  readonly private: string
}

export interface Authorities {
  readonly pem: readonly string[]
  /** Files that did not help; told when a certificate is not trusted. */
  readonly problems: readonly string[]
}

/** A file that is missing or broken adds no trust, and takes none from the other one. */
export async function readAuthorities(paths: AuthorityPaths): Promise<Authorities> {
  const pem: string[] = []
  const problems: string[] = []
  for (const [path, optional] of [
    [paths.public, false],
    [paths.private, true],
  ] as const) {
    try {
      const text = await readFile(path, 'utf8')
      if (text.includes('-----BEGIN CERTIFICATE-----')) pem.push(text)
      else problems.push(`${path} holds no certificate`)
    } catch (error) {
      const { code = 'unknown error' } = error as NodeJS.ErrnoException
      if (!(optional && code === 'ENOENT')) problems.push(`${path} can't be read (${code})`)
    }
  }
  return { pem, problems }
}
