import { jsonSchema } from '../operator/json-schema.ts'
import { jobIdPattern } from './words.ts'

type Schema = Readonly<Record<string, unknown>>

const text = { type: 'string' }
const flag = { type: 'boolean' }
const list = (items: Schema): Schema => ({ type: 'array', items })
const oneOf = (...values: readonly string[]): Schema => ({ type: 'string', enum: values })
const ref = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` })

/** An object with these members and no others; a name that ends in `?` may be left out. */
function object(members: Readonly<Record<string, Schema>>): Schema {
  const names = Object.keys(members)
  return {
    type: 'object',
    properties: Object.fromEntries(Object.entries(members).map(([name, schema]) => [bare(name), schema])),
    required: names.filter((name) => !name.endsWith('?')),
    additionalProperties: false,
  }
}

function bare(name: string): string {
  return name.replace(/\?$/, '')
}

const health = {
  status: oneOf('ok'),
  version: text,
  provisioned: flag,
  claim_code_needed: {
    ...flag,
    description: 'The first configuration needs the code from the boot partition.',
  },
  busy: { ...flag, description: 'A configuration is being applied.' },
}

const documents: Readonly<Record<string, Schema>> = {
  Problem: object({
    path: { ...text, description: 'As one would write it in TOML; empty: the file as a whole.' },
    message: text,
    'hint?': text,
    'line?': { type: 'integer', minimum: 1 },
    'column?': { type: 'integer', minimum: 1 },
  }),
  Error: object({
    error: { ...text, description: 'One line: what happened.' },
    'hint?': { ...text, description: 'What to do next.' },
    'problems?': list(ref('Problem')),
    'warnings?': list(ref('Problem')),
    'job_url?': { ...text, description: 'Of the job that is in the way.' },
  }),
  Health: object(health),
  Nonce: object({ nonce: text, expires_in: { type: 'integer', description: 'Seconds.' } }),
  Validation: object({ valid: flag, problems: list(ref('Problem')), warnings: list(ref('Problem')) }),
  Accepted: object({
    job_id: { ...text, pattern: jobIdPattern },
    state: oneOf('queued'),
    job_url: text,
  }),
  Step: object({
    name: oneOf(
      ...[
        'unpack',
        'validate',
        'render',
        'promote',
        'activate',
        'containers',
        'confirm',
        'finish',
        'rollback',
      ],
    ),
    state: oneOf('waiting', 'running', 'done', 'failed'),
    'message?': text,
    'started_at?': text,
    'ended_at?': text,
  }),
  Service: object({
    name: text,
    state: oneOf('waiting', 'starting', 'active', 'failed'),
    required: flag,
    'message?': text,
  }),
  Job: object({
    job_id: { ...text, pattern: jobIdPattern },
    source: oneOf('boot-partition', 'usb', 'boot-ui', 'api', 'command'),
    state: oneOf('queued', 'running', 'waiting-for-confirmation', 'succeeded', 'failed'),
    steps: list(ref('Step')),
    services: list(ref('Service')),
    problems: list(ref('Problem')),
    warnings: list(ref('Problem')),
    'error?': text,
    rollback: {
      description: 'Whether the old configuration is active again; null when nothing had been changed.',
      enum: ['completed', 'failed', null],
    },
    'confirm_before?': { ...text, description: 'ISO 8601. Not confirmed by then, the old one comes back.' },
    addresses: list(text),
  }),
  Status: object({ ...health, job: { anyOf: [ref('Job'), { type: 'null' }] } }),
  Event: object({
    seq: { type: 'integer', minimum: 1 },
    time: text,
    event: text,
    slot: { type: ['string', 'null'] },
    'version?': text,
    'reason?': text,
    'detail?': text,
  }),
  Events: object({ events: list(ref('Event')) }),
  NetworkPatch: {
    type: 'object',
    description:
      'RFC 7396: what is said of `[network]` is replaced, null takes it away, the rest stays. The result has to be valid.',
  },
}

/** Every schema of the API by name: its own documents, and the parts of config.toml that are put one by one. */
export function apiSchemas(): Readonly<Record<string, Schema>> {
  const {
    $schema: _,
    $id: __,
    $defs,
    ...config
  } = jsonSchema() as {
    $schema: unknown
    $id: unknown
    $defs: Record<string, Schema>
    properties: Record<string, SchemaNode>
  }
  const { users, containers } = config.properties
  const tables = containers!.properties!
  const parts: Record<string, unknown> = {
    Config: config,
    User: named(users!),
    Container: named(tables['container']!),
    ContainerNetwork: named(tables['network']!),
    ContainerVolume: named(tables['volume']!),
    ...$defs,
  }
  return { ...documents, ...(moved(parts) as Record<string, Schema>) }
}

interface SchemaNode {
  readonly properties?: Readonly<Record<string, SchemaNode>>
  readonly patternProperties?: Readonly<Record<string, SchemaNode>>
}

/** Of a table of names: what each name has. */
function named(node: SchemaNode): SchemaNode {
  return Object.values(node.patternProperties!)[0]!
}

/** References into `$defs` lead to the document's components. */
function moved(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(moved)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) =>
      key === '$ref'
        ? [key, String(member).replace('#/$defs/', '#/components/schemas/')]
        : [key, moved(member)],
    ),
  )
}
