import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { parse } from 'smol-toml'
import { describe, expect, test } from 'vitest'
import { hostileValue, mutated, Random } from '../network/test-random.ts'
import { checkConfig } from './check-config.ts'
import { jsonSchema } from './json-schema.ts'
import { leastToml, randomConfig } from './test-configs.ts'

const docs = join(import.meta.dirname, '../../../../docs')
const ajv = new Ajv2020({ strict: true, strictTypes: false, allErrors: false })
const accepts = ajv.compile(jsonSchema())

test('the published schema is what the contract gives', async () => {
  const published = await readFile(join(docs, 'config.schema.json'), 'utf8')
  expect(published, 'run `./atomixos config schema --out docs/config.schema.json`').toBe(
    `${JSON.stringify(jsonSchema(), undefined, 2)}\n`,
  )
})

test('it is a schema of draft 2020-12', () => {
  expect(ajv.validateSchema(jsonSchema())).toBe(true)
})

test.each([1, 2, 3])('it accepts every valid configuration (seed %i)', (seed) => {
  const random = new Random(seed)
  for (let count = 0; count < 500; count += 1) {
    const config = plain(randomConfig(random))
    expect(accepts(config), JSON.stringify(accepts.errors)).toBe(true)
  }
})

test.each([4, 5, 6])(
  'it refuses nothing that validation accepts, and hardly accepts what validation refuses (seed %i)',
  (seed) => {
    const random = new Random(seed)
    let onlyValidation = 0
    let both = 0
    for (let count = 0; count < 2_000; count += 1) {
      const value = random.below(10) === 0 ? hostileValue(random) : changed(random)
      if (value === undefined) continue
      const valid = checkConfig(value).config !== undefined
      const accepted = accepts(value)
      if (valid) expect(accepted, JSON.stringify(accepts.errors)).toBe(true)
      else if (accepted) onlyValidation += 1
      else both += 1
    }
    // A rule of several keys, the inside of a text: the rest of what is wrong an editor shows.
    expect(both).toBeGreaterThan(onlyValidation)
  },
)

function changed(random: Random): unknown {
  try {
    return JSON.parse(mutated(random, randomConfig(random)))
  } catch {
    return undefined
  }
}

describe('schema and validation judge alike', () => {
  const least = () => plain(parse(leastToml)) as Record<string, Record<string, unknown>>
  test.each<[string, (config: ReturnType<typeof least>) => void]>([
    ['another version', (config) => Object.assign(config, { version: 2 })],
    ['an unknown key', (config) => Object.assign(config, { colour: 'blue' })],
    ['no users', (config) => delete config['users']],
    ['users that are a list', (config) => Object.assign(config, { users: [] })],
    ['a name with a dot', (config) => Object.assign(config['users']!, { 'a.b': {} })],
    ['another shell', (config) => Object.assign(config['users']!, { bob: { shell: 'fish' } })],
    ['a password', (config) => Object.assign(config['users']!, { bob: { password: 'x' } })],
    ['a key that is none', (config) => Object.assign(config['users']!, { bob: { ssh_key: 'x' } })],
    ['no container required', (config) => Object.assign(config['activation']!, { required: [] })],
    ['no time', (config) => Object.assign(config['activation']!, { timeout_seconds: 0 })],
    ['half a second', (config) => Object.assign(config['activation']!, { settle_seconds: 0.5 })],
    ['an http URL', (config) => Object.assign(config, { os_upgrade: { server_url: 'http://a.example' } })],
    [
      'a URL with a query',
      (config) => Object.assign(config, { os_upgrade: { server_url: 'https://a.example?x' } }),
    ],
    [
      'a card that is none',
      (config) => Object.assign(config, { network: { interfaces: { wlan0: { mode: 'dhcp' } } } }),
    ],
    ['a card without a mode', (config) => Object.assign(config, { network: { interfaces: { eth0: {} } } })],
    [
      'an address without prefix',
      (config) =>
        Object.assign(config, { network: { interfaces: { eth0: { mode: 'static', address: '1.2.3.4' } } } }),
    ],
    [
      'a port above all',
      (config) => Object.assign(config, { network: { firewall: { inbound: { wan: { tcp: [65_536] } } } } }),
    ],
    ['the LAN off', (config) => Object.assign(config, { network: { dnsmasq: { enable: false } } })],
    [
      'a pattern without {mac}',
      (config) => Object.assign(config, { network: { dnsmasq: { hostname_pattern: 'x' } } }),
    ],
    ['no containers', (config) => Object.assign(config['containers']!, { container: {} })],
    [
      'an unknown directive',
      (config) => Object.assign(config['containers']!, { volume: { v: { Volume: { Enviroment: 'x' } } } }),
    ],
    [
      'a directive that is a table',
      (config) => Object.assign(config['containers']!, { volume: { v: { Volume: { Label: {} } } } }),
    ],
    [
      'two lines',
      (config) => Object.assign(config['containers']!, { volume: { v: { Volume: { Label: 'a\nb' } } } }),
    ],
    [
      'a section of systemd',
      (config) => Object.assign(config['containers']!, { volume: { v: { Volume: {}, Service: {} } } }),
    ],
  ])('%s', (_, change) => {
    const config = least()
    expect(accepts(config)).toBe(true)
    change(config)
    expect(accepts(config)).toBe(false)
    expect(checkConfig(config).problems.length).toBeGreaterThan(0)
  })
})

/** Objects as a JSON parser makes them. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value))
}
