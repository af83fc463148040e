import type { updateTables } from '../operator/update-config.ts'

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

/** What may be asked: each is answered by one function of the device. */
export type Operation =
  | 'health'
  | 'nonce'
  | 'document'
  | 'validate'
  | 'apply'
  | 'export'
  | 'status'
  | 'events'
  | 'report'
  | 'job'
  | 'confirm'
  | 'put'
  | 'remove'
  | 'patchNetwork'

/**
 * - `open`: anybody
 * - `signature`: an administrator's, always
 * - `first`: open as long as the device has no configuration, but for its claim code; then as `signature`
 */
export type Access = 'open' | 'signature' | 'first'

export type Body = 'none' | 'configuration' | 'json'

export interface Answer {
  readonly about: string
  /** Name of a schema; left out: no JSON. */
  readonly schema?: string
}

export interface Route {
  readonly method: Method
  /** `{name}` is one part of the path. */
  readonly path: string
  readonly operation: Operation
  readonly access: Access
  readonly body: Body
  /** Name of the schema of a JSON body. */
  readonly bodySchema?: string
  /** Words that may stand in the query. */
  readonly query?: readonly (keyof typeof queryWords)[]
  /** For `put` and `remove`. */
  readonly table?: keyof typeof updateTables
  readonly about: string
  /** What it says when all is well, by status. */
  readonly answers: Readonly<Record<number, Answer>>
}

export const queryWords = {
  confirm: {
    pattern: '^(?:0|[1-9][0-9]{0,3})$',
    about:
      'Seconds in which somebody has to confirm the change, 0 to 3600; 0: never. Left out: where addresses, the firewall or keys of administrators change.',
  },
  keep_files: {
    pattern: '^(?:true|false)$',
    about:
      'With a config.toml alone: whether the `files/` of the active configuration stay. Left out: false.',
  },
} as const

const accepted = { 202: { about: 'It is being applied: look at the job.', schema: 'Accepted' } }
const change = { access: 'signature', query: ['confirm'], answers: accepted } as const

const putAndRemove = (
  table: keyof typeof updateTables,
  what: string,
  bodySchema: string,
): readonly Route[] => [
  {
    ...change,
    ...{
      method: 'PUT',
      path: `/api/config/${table}/{name}`,
      operation: 'put',
      table,
      body: 'json',
      bodySchema,
    },
    about: `Puts ${what} into the configuration, or in the place of the one of that name.`,
  },
  {
    ...change,
    ...{ method: 'DELETE', path: `/api/config/${table}/{name}`, operation: 'remove', table, body: 'none' },
    about: `Takes ${what} out of the configuration.`,
  },
]

/** Every endpoint: what the device serves, and what the OpenAPI document says. */
export const apiRoutes: readonly Route[] = [
  {
    ...{ method: 'GET', path: '/api/health', operation: 'health', access: 'open', body: 'none' },
    about: 'Whether the device is there, and has been configured.',
    answers: { 200: { about: 'It is there.', schema: 'Health' } },
  },
  {
    ...{ method: 'GET', path: '/api/openapi.json', operation: 'document', access: 'open', body: 'none' },
    about: 'This document.',
    answers: { 200: { about: 'OpenAPI 3.1.' } },
  },
  {
    ...{ method: 'GET', path: '/api/nonce', operation: 'nonce', access: 'open', body: 'none' },
    about: 'A word for one signature.',
    answers: { 200: { about: 'Good for one request.', schema: 'Nonce' } },
  },
  {
    ...{ method: 'GET', path: '/api/status', operation: 'status', access: 'signature', body: 'none' },
    about: 'What the device is doing.',
    answers: { 200: { about: 'With the job that runs or waits.', schema: 'Status' } },
  },
  {
    ...{ method: 'GET', path: '/api/events', operation: 'events', access: 'signature', body: 'none' },
    about: 'What has happened to the device: starts, updates, configurations.',
    answers: { 200: { about: 'The oldest first.', schema: 'Events' } },
  },
  {
    ...{ method: 'GET', path: '/api/report', operation: 'report', access: 'signature', body: 'none' },
    about: 'What somebody needs who helps: logs and states, without secrets. It takes up to two minutes.',
    answers: { 200: { about: 'A .tar.gz. Cut off without its end: it is not whole.' } },
  },
  {
    ...{
      method: 'POST',
      path: '/api/validate',
      operation: 'validate',
      access: 'signature',
      body: 'configuration',
    },
    about: 'Everything that is wrong with a config.toml or bundle. Changes nothing.',
    answers: { 200: { about: 'The verdict.', schema: 'Validation' } },
  },
  {
    ...{ method: 'POST', path: '/api/config', operation: 'apply', access: 'first', body: 'configuration' },
    query: ['confirm', 'keep_files'],
    about: 'Applies a config.toml or bundle.',
    answers: accepted,
  },
  {
    ...{ method: 'GET', path: '/api/config/export', operation: 'export', access: 'signature', body: 'none' },
    about: 'The active config.toml, as it was written.',
    answers: { 200: { about: 'TOML.' } },
  },
  {
    ...{ method: 'GET', path: '/api/jobs/{job_id}', operation: 'job', access: 'open', body: 'none' },
    about: 'How far the applying of a configuration is. Only who has started it knows its id.',
    answers: { 200: { about: 'Steps and services.', schema: 'Job' } },
  },
  {
    ...{ method: 'POST', path: '/api/jobs/{job_id}/confirm', operation: 'confirm', access: 'signature' },
    body: 'none',
    about: 'Keeps a change that waits for its confirmation.',
    answers: { 200: { about: 'It stays.', schema: 'Job' } },
  },
  ...putAndRemove('users', 'a user', 'User'),
  {
    ...{ method: 'PATCH', path: '/api/config/network', operation: 'patchNetwork', body: 'json' },
    bodySchema: 'NetworkPatch',
    ...change,
    about: 'Changes a part of `[network]`.',
  },
  ...putAndRemove('containers', 'a container', 'Container'),
  ...putAndRemove('container-networks', 'a network of containers', 'ContainerNetwork'),
  ...putAndRemove('container-volumes', 'a volume', 'ContainerVolume'),
]

export interface FoundRoute {
  readonly route: Route
  /** Parts of the path by name, decoded. */
  readonly parts: Readonly<Record<string, string>>
}

/**
 * The endpoint for a method and a path without its query. `allowed`: there is such a path, for these methods; empty: there
 * is none. HEAD is GET. Pure.
 */
export function findRoute(
  method: string,
  path: string,
): FoundRoute | { readonly allowed: readonly string[] } {
  const allowed = new Set<string>()
  for (const route of apiRoutes) {
    const parts = match(route.path, path)
    if (parts === undefined) continue
    if (route.method === method || (route.method === 'GET' && method === 'HEAD')) return { route, parts }
    allowed.add(route.method)
    if (route.method === 'GET') allowed.add('HEAD')
  }
  return { allowed: [...allowed] }
}

function match(pattern: string, path: string): Record<string, string> | undefined {
  const wanted = pattern.split('/')
  const given = path.split('/')
  if (wanted.length !== given.length) return undefined
  const parts: [string, string][] = []
  for (const [index, word] of wanted.entries()) {
    const part = given[index]!
    if (!word.startsWith('{')) {
      if (word !== part) return undefined
      continue
    }
    const decoded = decode(part)
    if (decoded === undefined || decoded === '') return undefined
    parts.push([word.slice(1, -1), decoded])
  }
  return Object.fromEntries(parts)
}

function decode(part: string): string | undefined {
  try {
    return decodeURIComponent(part)
  } catch {
    return undefined
  }
}

/** The query of a target, or the word in it that does not belong there. Each may be there once. Pure. */
export function parseQuery(
  route: Route,
  query: string,
): { readonly values: Readonly<Record<string, string>> } | { readonly problem: string } {
  const values: [string, string][] = []
  if (query === '') return { values: {} }
  for (const pair of query.split('&')) {
    const [name = '', value = ''] = pair.split('=', 2)
    const known = route.query?.find((word) => word === name)
    if (known === undefined) {
      const there = route.query === undefined ? 'none' : route.query.join(', ')
      return { problem: `the query has a word that is not known here; known: ${there}` }
    }
    if (values.some(([other]) => other === name)) return { problem: `${name} stands in the query twice` }
    if (!new RegExp(queryWords[known].pattern).test(value)) {
      return { problem: `${name} cannot be that: ${queryWords[known].about}` }
    }
    values.push([name, value])
  }
  return { values: Object.fromEntries(values) }
}
