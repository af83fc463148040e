import type { IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { type ConnectionOptions, createSecureContext, type SecureContext } from 'node:tls'
import type { Authorities } from './authorities.ts'
import { explainNetworkError, UpdateServerError } from './server-error.ts'

export interface RequestOptions {
  readonly headers: Readonly<Record<string, string>>
  readonly authorities: Authorities
  readonly signal: AbortSignal
}

export interface Response {
  readonly message: IncomingMessage
  /** Where redirects have led. */
  readonly url: string
}

const redirectsMax = 3

/** One GET over verified TLS. Gives the first response that is no redirect; its body is still to be read. */
export async function get(url: string, options: RequestOptions): Promise<Response> {
  const secureContext = trust(url, options.authorities)
  let current = parseHttps(url, url)
  let headers = options.headers
  for (let redirects = 0; ; redirects++) {
    const message = await getOnce(current, { ...options, headers, secureContext })
    const status = message.statusCode!
    if (![301, 302, 303, 307, 308].includes(status)) return { message, url: current.href }
    message.destroy()
    const { location } = message.headers
    if (redirects === redirectsMax) {
      throw new UpdateServerError('redirect', `more than ${redirectsMax} redirects`, { url, status })
    }
    const next = parseHttps(location ?? '', current.href)
    // Who the device is, is meant for the configured server only.
    if (next.origin !== current.origin) headers = withoutIdentity(headers)
    current = next
  }
}

function parseHttps(text: string, base: string): URL {
  const refuse = (reason: string) => new UpdateServerError('redirect', reason, { url: base })
  const url = text !== '' && URL.canParse(text, base) ? new URL(text, base) : undefined
  if (url === undefined) throw refuse(`"${text}" is not an address to go to`)
  if (url.protocol !== 'https:') {
    const scheme = url.protocol.slice(0, -1)
    throw refuse(
      text === base ? `${scheme} is not asked, only https` : `redirects to ${scheme} are not followed`,
    )
  }
  if (url.username !== '' || url.password !== '') throw refuse('addresses with credentials are not asked')
  return url
}

function withoutIdentity(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !name.toLowerCase().startsWith('x-')))
}

function trust(url: string, { pem, problems }: Authorities): SecureContext {
  try {
    return createSecureContext({ ca: [...pem], minVersion: 'TLSv1.2' })
  } catch (cause) {
    const told = [`the authorities' certificates can't be used`, ...problems].join('; ')
    throw new UpdateServerError('tls', told, { url, cause })
  }
}

function getOnce(
  url: URL,
  options: RequestOptions & { secureContext: SecureContext },
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const tls: ConnectionOptions = {
      secureContext: options.secureContext,
      // Said aloud, since an environment variable could switch it off.
      rejectUnauthorized: true,
    }
    const request = httpsRequest(url, {
      ...tls,
      agent: false,
      headers: { ...options.headers, 'Accept-Encoding': 'identity' },
      signal: options.signal,
    })
    request.once('response', resolve)
    request.once('error', (error) => reject(options.signal.aborted ? options.signal.reason : told(error)))
    request.end()
  })

  function told(error: Error): UpdateServerError {
    const explained = explainNetworkError(error, url.href)
    if (explained.kind !== 'tls' || options.authorities.problems.length === 0) return explained
    const { code } = explained
    const reason = [explained.message, ...options.authorities.problems].join('; ')
    return new UpdateServerError('tls', reason, { url: url.href, code, cause: error })
  }
}

/** The 200 or 206 that was asked for, else an error that says what came. */
export function requireStatus(response: Response, allowed: readonly number[]): void {
  const { statusCode: status = 0, statusMessage, headers } = response.message
  if (!allowed.includes(status)) {
    response.message.destroy()
    const words = statusMessage ? `${status} ${statusMessage}` : status
    throw new UpdateServerError('status', `the update server answers ${words}`, { url: response.url, status })
  }
  const encoding = headers['content-encoding'] ?? 'identity'
  if (encoding !== 'identity') {
    response.message.destroy()
    throw new UpdateServerError('answer', `the answer is compressed (${encoding}), which was not asked for`, {
      url: response.url,
      status,
    })
  }
}
