import { type AuthorityPaths, readAuthorities } from './authorities.ts'
import { get, requireStatus } from './request.ts'
import { explainNetworkError, UpdateServerError } from './server-error.ts'

export interface FetchSmallOptions {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly authorities: AuthorityPaths
  readonly statuses: readonly number[]
  readonly bytesMax: number
  readonly signal?: AbortSignal | undefined
  /** For the whole request, redirects and body included. */
  readonly timeoutMs?: number | undefined
}

export interface SmallAnswer {
  readonly status: number
  readonly body: Buffer
  readonly etag: string | undefined
  /** Where redirects have led. */
  readonly url: string
}

/** One question whose answer fits into memory. Fails with an UpdateServerError. */
export async function fetchSmall(options: FetchSmallOptions): Promise<SmallAnswer> {
  const { url, headers, bytesMax, timeoutMs = 30_000 } = options
  const late = new AbortController()
  const timer = setTimeout(() => {
    late.abort(
      new UpdateServerError('timeout', `the update server did not answer within ${timeoutMs / 1000} s`, {
        url,
      }),
    )
  }, timeoutMs)
  const signal = options.signal ? AbortSignal.any([options.signal, late.signal]) : late.signal
  try {
    const authorities = await readAuthorities(options.authorities)
    const response = await get(url, { headers, authorities, signal })
    requireStatus(response, options.statuses)
    const chunks: Buffer[] = []
    let bodyBytes = 0
    for await (const chunk of response.message as AsyncIterable<Buffer>) {
      bodyBytes += chunk.length
      if (bodyBytes > bytesMax) {
        const reason = `the answer is larger than ${bytesMax >> 10} KiB`
        throw new UpdateServerError('too-large', reason, { url: response.url })
      }
      chunks.push(chunk)
    }
    const { statusCode, headers: answered } = response.message
    return { status: statusCode!, body: Buffer.concat(chunks), etag: answered.etag, url: response.url }
  } catch (error) {
    if (late.signal.aborted) throw late.signal.reason
    if (signal.aborted) {
      throw new UpdateServerError('stopped', 'the request was stopped', { url, cause: signal.reason })
    }
    throw explainNetworkError(error, url)
  } finally {
    clearTimeout(timer)
  }
}
