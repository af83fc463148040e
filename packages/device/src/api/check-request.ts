import {
  configMediaTypes,
  type ErrorDocument,
  type FoundRoute,
  findRoute,
  jsonBytesMax,
  parseQuery,
  uploadBytesMax,
} from '@atomixos/config/api/index.ts'

/** Why a request is not served. */
export interface Refusal {
  readonly status: number
  readonly document: ErrorDocument
  /** Methods that there are, for the header of that name. */
  readonly allow?: string | undefined
  readonly retryAfterS?: number | undefined
}

export interface CheckedRequest extends FoundRoute {
  readonly query: Readonly<Record<string, string>>
  readonly bodyBytesMax: number
}

export function refusal(status: number, error: string, hint?: string): Refusal {
  return { status, document: { error, ...(hint !== undefined && { hint }) } }
}

/**
 * What can be judged of a request before its body is there: path, method, query, kind and size. The front asks in order not
 * to take in what nobody wants, the worker because it believes nothing. Pure.
 */
export function checkRequest(request: {
  readonly method: string
  readonly target: string
  readonly mediaType: string | undefined
  /** undefined: not known yet. */
  readonly bodyBytes: number | undefined
}): CheckedRequest | Refusal {
  const { method, target, mediaType, bodyBytes } = request
  // Printable, and a path of this device: no address of another one, and no `//host`.
  if (!/^\/[\x21-\x7e]*$/.test(target) || /[#\\]/.test(target)) {
    return refusal(400, 'the path is not understood', 'GET /api/openapi.json has all of them')
  }
  const [path = '', ...queries] = target.split('?')
  const found = findRoute(method, path)
  if ('allowed' in found) {
    if (found.allowed.length === 0) {
      return refusal(404, 'there is no such path', 'GET /api/openapi.json has all of them')
    }
    const allow = found.allowed.join(', ')
    return { ...refusal(405, `${method.slice(0, 16)} is not for this path`, `there is ${allow}`), allow }
  }
  const query = parseQuery(found.route, queries.join('?'))
  if ('problem' in query) return refusal(400, query.problem)
  const { body } = found.route
  const bodyBytesMax = body === 'none' ? 0 : body === 'json' ? jsonBytesMax : uploadBytesMax
  if (bodyBytes !== undefined && bodyBytes > bodyBytesMax) return tooLarge(bodyBytesMax)
  const wrongKind = body === 'none' ? undefined : kindProblem(body, mediaType)
  if (wrongKind !== undefined) return wrongKind
  return { ...found, query: query.values, bodyBytesMax }
}

export function tooLarge(bodyBytesMax: number): Refusal {
  if (bodyBytesMax === 0) return refusal(400, 'there is no body with this')
  const size =
    bodyBytesMax >= 1024 * 1024 ? `${bodyBytesMax / 1024 / 1024} MiB` : `${bodyBytesMax / 1024} KiB`
  return refusal(413, `the body is larger than ${size}`)
}

function kindProblem(body: 'json' | 'configuration', mediaType: string | undefined): Refusal | undefined {
  // Without a kind there is nothing to contradict: what it is, its content says.
  if (mediaType === undefined) return undefined
  const type = mediaType.split(';', 1)[0]!.trim().toLowerCase()
  const taken =
    body === 'json'
      ? ['application/json', 'application/merge-patch+json']
      : (configMediaTypes as readonly string[])
  if (taken.includes(type)) return undefined
  return refusal(
    415,
    `${JSON.stringify(type.slice(0, 60))} is not taken here`,
    `say Content-Type: ${taken.join(' or ')}`,
  )
}

export function isRefusal(value: object): value is Refusal {
  return 'document' in value
}
