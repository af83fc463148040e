/** Texts that OpenSSL reads. Pure. */

/** In seconds since 1970, both ends included. */
export interface Validity {
  readonly fromSeconds: number
  readonly untilSeconds: number
}

export interface Revocation {
  /** Hexadecimal, as the certificate has it. */
  readonly serial: string
  readonly name: string
  readonly atSeconds: number
}

export type CertificateRole =
  | { readonly kind: 'root' }
  | { readonly kind: 'intermediate' }
  | {
      readonly kind: 'signer'
      /** OpenSSL's name; devices accept `codeSigning` only. */
      readonly purpose: string
    }

/** `20260101000000Z`; OpenSSL chooses the form that the year needs. */
export function renderTime(seconds: number): string {
  return `${new Date(seconds * 1000).toISOString().replaceAll(/[-:T]|\.\d+Z/g, '')}Z`
}

/** As in X.509 itself, and in OpenSSL's database: two digits of the year before 2050. */
function renderDatabaseTime(seconds: number): string {
  const time = renderTime(seconds)
  return time < '2050' ? time.slice(2) : time
}

export function renderValidity(validity: Validity): string[] {
  return [
    ...['-not_before', renderTime(validity.fromSeconds)],
    ...['-not_after', renderTime(validity.untilSeconds)],
  ]
}

export function renderExtensions(role: CertificateRole): string {
  const lines =
    role.kind === 'signer'
      ? [
          'basicConstraints = critical, CA:false',
          'keyUsage = critical, digitalSignature',
          `extendedKeyUsage = critical, ${role.purpose}`,
        ]
      : [
          `basicConstraints = critical, CA:true${role.kind === 'intermediate' ? ', pathlen:0' : ''}`,
          'keyUsage = critical, keyCertSign, cRLSign',
        ]
  const keyIds = ['subjectKeyIdentifier = hash']
  if (role.kind !== 'root') keyIds.push('authorityKeyIdentifier = keyid:always')
  return ['[req]', 'distinguished_name = name', '[name]', '[extensions]', ...lines, ...keyIds, ''].join('\n')
}

/** For `openssl ca -gencrl` with its files in `folder`. */
export function renderListConfig(folder: string): string {
  return [
    '[ca]',
    'default_ca = authority',
    '[authority]',
    `database = ${folder}/index.txt`,
    `crlnumber = ${folder}/crlnumber`,
    'default_md = sha256',
    'crl_extensions = extensions',
    '[extensions]',
    'authorityKeyIdentifier = keyid:always',
    '',
  ].join('\n')
}

/** OpenSSL's database of an authority: only what is revoked matters to a list. */
export function renderDatabase(revoked: readonly Revocation[], untilSeconds: number): string {
  return revoked
    .map(({ serial, name, atSeconds }) =>
      [
        'R',
        renderDatabaseTime(untilSeconds),
        renderDatabaseTime(atSeconds),
        serial,
        'unknown',
        `/CN=${name}`,
      ].join('\t'),
    )
    .map((line) => `${line}\n`)
    .join('')
}
