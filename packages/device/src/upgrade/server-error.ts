import { oneLine } from '@atomixos/config'

export type ServerErrorKind =
  | 'network'
  | 'tls'
  | 'timeout'
  | 'redirect'
  | 'status'
  /** What came is not what was announced, asked for or agreed on. */
  | 'answer'
  | 'too-large'
  /** The channel file is missing, or not followed. */
  | 'channel'
  | 'disk'
  | 'stopped'

/** Everything that can go wrong between us and a server. The message is one line for people. */
export class UpdateServerError extends Error {
  override readonly name = 'UpdateServerError'
  readonly kind: ServerErrorKind
  readonly url: string
  readonly status: number | undefined
  /** Of Node or OpenSSL, such as `ECONNREFUSED` or `CERT_HAS_EXPIRED`; of a channel file, such as `replay`. */
  readonly code: string | undefined

  constructor(
    kind: ServerErrorKind,
    reason: string,
    facts: { url: string; status?: number | undefined; code?: string | undefined; cause?: unknown },
  ) {
    super(oneLine(reason, 400), { cause: facts.cause })
    this.kind = kind
    this.url = facts.url
    this.status = facts.status
    this.code = facts.code
  }
}

const certificateReasons: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: 'is not trusted (self-signed certificate)',
  SELF_SIGNED_CERT_IN_CHAIN: 'is not trusted (its authority is unknown here)',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'is not trusted (its authority is unknown here)',
  UNABLE_TO_GET_ISSUER_CERT: 'is not trusted (its authority is unknown here)',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'is not trusted (its authority is unknown here)',
  CERT_HAS_EXPIRED: 'has expired',
  CERT_NOT_YET_VALID: "is not valid yet (is this device's clock right?)",
  CERT_REVOKED: 'was revoked',
  ERR_TLS_CERT_ALTNAME_INVALID: 'is for another name',
}

const networkReasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'refuses the connection',
  ECONNRESET: 'cut the connection',
  EPIPE: 'cut the connection',
  ENOTFOUND: 'has a name that is not known',
  EAI_AGAIN: "can't be looked up: no name server answers",
  ENETUNREACH: "can't be reached: there is no network",
  EHOSTUNREACH: "can't be reached",
  ETIMEDOUT: 'does not answer',
}

/** The clear form of what Node says of a failed connection or transfer. */
export function explainNetworkError(error: unknown, url: string, who = 'update server'): UpdateServerError {
  if (error instanceof UpdateServerError) return error
  const { code = '', message = String(error) } = error as { code?: string; message?: string }
  const facts = { url, code: code === '' ? undefined : code, cause: error }
  if (Object.hasOwn(certificateReasons, code)) {
    return new UpdateServerError('tls', `the ${who}'s certificate ${certificateReasons[code]}`, facts)
  }
  if (Object.hasOwn(networkReasons, code)) {
    return new UpdateServerError('network', `the ${who} ${networkReasons[code]} (${code})`, facts)
  }
  if (code.startsWith('HPE_')) {
    return new UpdateServerError('answer', `what the ${who} sends is not HTTP (${code})`, facts)
  }
  if (code === 'EPROTO' || code.startsWith('ERR_SSL_') || code.startsWith('ERR_TLS_')) {
    return new UpdateServerError('tls', `no encrypted connection to the ${who} (${code})`, facts)
  }
  return new UpdateServerError('network', `the connection to the ${who} failed: ${message}`, facts)
}
