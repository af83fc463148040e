import { apiPort } from '../network/firewall-settings.ts'
import { type Access, apiRoutes, type Body, queryWords, type Route } from './routes.ts'
import { apiSchemas } from './schemas.ts'
import { apiHeaders, configMediaTypes, jobIdPattern } from './words.ts'

type Json = Readonly<Record<string, unknown>>

/** OpenAPI 3.1, made of the table of endpoints and the contract's schema: the very things that the device goes by. Pure. */
export function openApiDocument(version: string): Json {
  const paths: Record<string, Record<string, unknown>> = {}
  for (const route of apiRoutes) {
    paths[route.path] = { ...paths[route.path], [route.method.toLowerCase()]: operationOf(route) }
  }
  return {
    openapi: '3.1.0',
    jsonSchemaDialect: 'https://json-schema.org/draft/2020-12/schema',
    info: {
      title: 'AtomixOS device API',
      version,
      description:
        "Requests that change something carry an administrator's SSH signature, made by `ssh-keygen -Y sign -n atomixos-reapply`: see docs/api.md.",
    },
    servers: [
      {
        url: 'http://{address}:{port}',
        variables: { address: { default: '172.20.30.1' }, port: { default: String(apiPort) } },
      },
    ],
    paths,
    components: {
      schemas: apiSchemas(),
      securitySchemes: {
        nonce: { type: 'apiKey', in: 'header', name: apiHeaders.nonce },
        signature: { type: 'apiKey', in: 'header', name: apiHeaders.signature },
        claim: { type: 'apiKey', in: 'header', name: apiHeaders.claim },
      },
    },
  }
}

const signed = { nonce: [], signature: [] }
const security: Readonly<Record<Access, readonly Json[]>> = {
  open: [],
  signature: [signed],
  first: [{}, { claim: [] }, signed],
}

/** Besides what an endpoint says when all is well. */
function refusals({ access, body, operation, path }: Route): Readonly<Record<number, string>> {
  const changes = ['apply', 'put', 'remove', 'patchNetwork'].includes(operation)
  return {
    400: 'The request is not understood.',
    ...(access !== 'open' && {
      401: 'There is no valid signature.',
      403: 'Not from there, not yet, or not with this claim code.',
    }),
    ...((path.includes('{') || operation === 'export') && { 404: 'There is no such thing.' }),
    ...((changes || operation === 'confirm') && {
      409: 'Something else is being applied, or nothing waits.',
    }),
    ...(body !== 'none' && {
      413: 'The body is too large.',
      415: 'The body is of a kind that is not taken.',
    }),
    ...(changes && { 422: 'The configuration would not be valid. All that is wrong is told.' }),
    ...(access !== 'open' && { 429: 'Too many attempts: try again later.' }),
    503: 'The device cannot do it now.',
  }
}

function operationOf(route: Route): Json {
  const answers = Object.entries(route.answers).map(([status, { about, schema }]) => [
    status,
    {
      description: about,
      ...(status === '202' && { headers: { Location: { schema: { type: 'string' } } } }),
      content: schema === undefined ? otherContent(route) : jsonContent(schema),
    },
  ])
  const refused = Object.entries(refusals(route)).map(([status, about]) => [
    status,
    { description: about, content: jsonContent('Error') },
  ])
  return {
    operationId: operationId(route),
    summary: route.about,
    security: security[route.access],
    parameters: [
      ...[...route.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
        ...{ name, in: 'path', required: true },
        schema: { type: 'string', ...(name === 'job_id' && { pattern: jobIdPattern }) },
      })),
      ...(route.query ?? []).map((name) => ({
        ...{ name, in: 'query', description: queryWords[name].about },
        schema: { type: 'string', pattern: queryWords[name].pattern },
      })),
    ],
    ...(route.body !== 'none' && {
      requestBody: { required: true, content: bodyContent(route.body, route) },
    }),
    responses: Object.fromEntries([...answers, ...refused]),
  }
}

function operationId({ operation, table }: Route): string {
  if (table === undefined) return operation
  const name = table.replace(/(?:^|-)([a-z])/g, (_, letter: string) => letter.toUpperCase()).replace(/s$/, '')
  return `${operation}${name}`
}

function jsonContent(schema: string): Json {
  return { 'application/json': { schema: { $ref: `#/components/schemas/${schema}` } } }
}

function otherContent({ operation }: Route): Json {
  if (operation === 'export') return { 'application/toml': {} }
  return operation === 'report' ? { 'application/gzip': {} } : { 'application/json': {} }
}

function bodyContent(body: Exclude<Body, 'none'>, { bodySchema }: Route): Json {
  if (body === 'configuration') return Object.fromEntries(configMediaTypes.map((type) => [type, {}]))
  return jsonContent(bodySchema!)
}
