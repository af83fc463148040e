import { request as httpsRequest } from 'node:https'
import { fleetLimits } from '@atomixos/config'
import { explainNetworkError, UpdateServerError } from '../upgrade/server-error.ts'

export interface PostOptions {
  readonly url: string
  readonly body: string
  readonly token?: string | undefined
  /** PEM: the only authorities whose certificates are taken. */
  readonly authorities: readonly string[]
  readonly signal: AbortSignal
  readonly timeoutMs?: number
}

export interface PostAnswer {
  readonly status: number
  readonly text: string
}

/**
 * One question over verified TLS; no redirects, and an answer of some kilobytes in half a minute, or none. Fails with an
 * UpdateServerError.
 */
export async function post(options: PostOptions): Promise<PostAnswer> {
  const { url, timeoutMs = fleetLimits.timeoutMs } = options
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(), timeoutMs)
  const signal = AbortSignal.any([options.signal, late.signal])
  try {
    return await ask({ ...options, signal })
  } catch (error) {
    if (options.signal.aborted) {
      throw new UpdateServerError('stopped', 'the request was stopped', { url, cause: error })
    }
    if (late.signal.aborted) {
      const reason = `the fleet server did not answer within ${timeoutMs / 1000} s`
      throw new UpdateServerError('timeout', reason, { url, cause: error })
    }
    throw explainNetworkError(error, url, 'fleet server')
  } finally {
    clearTimeout(timer)
  }
}

function ask({ url, body, token, authorities, signal }: PostOptions): Promise<PostAnswer> {
  return new Promise((resolve, reject) => {
    const request = httpsRequest(url, {
      ...{ method: 'POST', agent: false, signal, ca: [...authorities], minVersion: 'TLSv1.2' },
      // Said aloud, since an environment variable could switch it off.
      rejectUnauthorized: true,
      headers: {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
        'accept-encoding': 'identity',
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
      },
    })
    request.once('error', reject)
    request.once('response', (response) => {
      const chunks: Buffer[] = []
      let bytes = 0
      response.on('error', reject)
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes > fleetLimits.answerBytesMax) {
          const reason = `the answer is larger than ${fleetLimits.answerBytesMax >> 10} KiB`
          request.destroy(new UpdateServerError('too-large', reason, { url }))
        } else chunks.push(chunk)
      })
      response.once('end', () =>
        resolve({ status: response.statusCode!, text: Buffer.concat(chunks).toString('utf8') }),
      )
      // A connection that is cut in the middle of the answer says so in no other way.
      response.once('close', () => {
        if (!response.complete) reject(Object.assign(new Error('cut off'), { code: 'ECONNRESET' }))
      })
    })
    request.end(body)
  })
}
