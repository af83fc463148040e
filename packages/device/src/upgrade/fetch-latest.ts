import { updateApi } from '@atomixos/config'
import type { AuthorityPaths } from './authorities.ts'
import { fetchSmall } from './fetch-small.ts'
import { type Answer, parseAnswer } from './parse-answer.ts'
import { UpdateServerError } from './server-error.ts'

/** Who asks whom. */
export interface Asking {
  /** As the operator's configuration has it. */
  readonly serverUrl: string
  /** undefined while eth0 has no address of its own; the server is asked without it. */
  readonly deviceId: string | undefined
  readonly runningVersion: string
  readonly authorities: AuthorityPaths
  readonly signal?: AbortSignal | undefined
  /** For each request as a whole, redirects and body included. */
  readonly timeoutMs?: number
}

export interface FetchLatestOptions extends Asking {
  readonly bodyBytesMax?: number
}

/** Asks the server what is the latest. Fails with an UpdateServerError. */
export async function fetchLatest(options: FetchLatestOptions): Promise<Answer> {
  const { body, url } = await fetchSmall({
    ...options,
    url: addressBelow(options.serverUrl, updateApi.latestPath),
    headers: { Accept: 'application/json', ...identityHeaders(options) },
    statuses: [200],
    bytesMax: options.bodyBytesMax ?? 64 << 10,
  })
  const parsed = parseAnswer(body.toString('utf8'), options.serverUrl)
  if ('answer' in parsed) return parsed.answer
  const reason = `the update server's answer is refused: ${parsed.problems.join('; ')}`
  throw new UpdateServerError('answer', reason, { url })
}

/** The address of a server may end in a folder, with or without a slash. */
export function addressBelow(serverUrl: string, path: string): string {
  return `${serverUrl.replace(/\/+$/, '')}/${path.replace(/^\/+/, '')}`
}

/** For servers that answer each device differently. */
export function identityHeaders({
  deviceId,
  runningVersion,
}: Pick<Asking, 'deviceId' | 'runningVersion'>): Record<string, string> {
  return {
    [updateApi.versionHeader]: runningVersion,
    ...(deviceId === undefined ? {} : { [updateApi.deviceIdHeader]: deviceId }),
  }
}
