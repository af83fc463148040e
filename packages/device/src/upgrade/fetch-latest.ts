import { updateApi } from '@atomixos/config'
import { type AuthorityPaths, readAuthorities } from './authorities.ts'
import { type Answer, parseAnswer } from './parse-answer.ts'
import { get, requireStatus } from './request.ts'
import { explainNetworkError, UpdateServerError } from './server-error.ts'

export interface FetchLatestOptions {
  /** As the operator's configuration has it. */
  readonly serverUrl: string
  /** undefined while eth0 has no address of its own; the server is asked without it. */
  readonly deviceId: string | undefined
  readonly runningVersion: string
  readonly authorities: AuthorityPaths
  readonly signal?: AbortSignal | undefined
  /** For the whole request, redirects and body included. */
  readonly timeoutMs?: number
  readonly bodyBytesMax?: number
}

/** Asks the server what is the latest. Fails with an UpdateServerError. */
export async function fetchLatest(options: FetchLatestOptions): Promise<Answer> {
  const { timeoutMs = 30_000, bodyBytesMax = 64 << 10 } = options
  const url = `${options.serverUrl.replace(/\/+$/, '')}${updateApi.latestPath}`
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
    const headers = {
      Accept: 'application/json',
      [updateApi.versionHeader]: options.runningVersion,
      ...(options.deviceId === undefined ? {} : { [updateApi.deviceIdHeader]: options.deviceId }),
    }
    const authorities = await readAuthorities(options.authorities)
    const response = await get(url, { headers, authorities, signal })
    requireStatus(response, [200])
    const chunks: Buffer[] = []
    let bodyBytes = 0
    for await (const chunk of response.message as AsyncIterable<Buffer>) {
      bodyBytes += chunk.length
      if (bodyBytes > bodyBytesMax) {
        const reason = `the answer is larger than ${bodyBytesMax >> 10} KiB`
        throw new UpdateServerError('too-large', reason, { url: response.url })
      }
      chunks.push(chunk)
    }
    const parsed = parseAnswer(Buffer.concat(chunks).toString('utf8'), options.serverUrl)
    if ('answer' in parsed) return parsed.answer
    const reason = `the update server's answer is refused: ${parsed.problems.join('; ')}`
    throw new UpdateServerError('answer', reason, { url: response.url })
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
