import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parse } from 'smol-toml'
import { expect, test } from 'vitest'
import { parseConfig } from './parse-config.ts'

/**
 * Traefik is in no archive of ours, so nobody runs these files here. What its documentation says of their form is checked: the static
 * one is read from /etc/traefik/traefik.toml, the dynamic one where the file provider looks; each key is one that Traefik 3 knows, and
 * each name leads somewhere.
 */

const folder = join(import.meta.dirname, '../../../../docs/examples/proxy/traefik')
const readToml = async (name: string) => parse(await readFile(join(folder, name), 'utf8'))
const [main, routes, source] = await Promise.all([
  readToml('files/traefik.toml'),
  readToml('files/routes.toml'),
  readFile(join(folder, 'config.toml')),
])

/** `*`: a name that the operator chose; `[]`: each of a list. */
const staticKeys = [
  'entryPoints.*.address',
  'providers.file.filename',
  'providers.file.directory',
  'providers.file.watch',
  'global.checkNewVersion',
  'global.sendAnonymousUsage',
  'log.level',
  'log.format',
]
const dynamicKeys = [
  ...['entryPoints', 'rule', 'middlewares', 'service', 'priority', 'tls', 'tls.options'].map(
    (key) => `http.routers.*.${key}`,
  ),
  ...['users', 'usersFile', 'realm', 'removeHeader', 'headerField'].map(
    (key) => `http.middlewares.*.basicAuth.${key}`,
  ),
  ...['url', 'weight', 'preservePath'].map((key) => `http.services.*.loadBalancer.servers[].${key}`),
  'http.services.*.loadBalancer.passHostHeader',
  ...['certFile', 'keyFile'].map((key) => `tls.certificates[].${key}`),
]

/** Every value by its path, with the operator's names as `*`. Lists of scalars and empty tables are values. */
function keysOf(value: unknown, path = ''): string[] {
  if (Array.isArray(value) && value.some((item) => typeof item === 'object'))
    return value.flatMap((item) => keysOf(item, `${path}[]`))
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [path]
  const members = Object.entries(value)
  if (members.length === 0) return [path]
  const named = /^(?:entryPoints|http\.(?:routers|middlewares|services))$/.test(path)
  return members.flatMap(([name, member]) =>
    keysOf(member, `${path}${path === '' ? '' : '.'}${named ? '*' : name}`),
  )
}

const unknownKeys = (value: unknown, known: readonly string[]) =>
  keysOf(value).filter((key) => !known.includes(key))

test('the keys are those that Traefik knows', () => {
  expect(unknownKeys(main, staticKeys)).toEqual([])
  expect(unknownKeys(routes, dynamicKeys)).toEqual([])
  // The walk finds what is wrong.
  const wrong = parse('[entryPoints.a]\nadress = ":1"\n[http.services.a.loadBalancer]\nservers = ["x"]\n')
  expect(unknownKeys(wrong, [...staticKeys, ...dynamicKeys])).toEqual([
    'entryPoints.*.adress',
    'http.services.*.loadBalancer.servers',
  ])
})

test('names lead from the entry point by router and password to the application, and the files lie where they are looked for', () => {
  const { config } = parseConfig(source)
  const { proxy, web } = config!.containers.container as Record<
    string,
    { Container: Record<string, unknown> }
  >
  const volumes = (proxy!.Container['Volume'] as string[]).map((volume) => volume.split(':'))
  const inside = Object.fromEntries(volumes.map(([outside, path]) => [path, outside]))
  expect(inside['/etc/traefik/traefik.toml']).toBe(`\${FILES_DIR}/traefik.toml`)
  const statics = main as {
    entryPoints: Record<string, { address: string }>
    providers: { file: { filename: string } }
  }
  expect(inside[statics.providers.file.filename]).toBe(`\${FILES_DIR}/routes.toml`)
  const { routers, middlewares, services } = routes['http'] as {
    routers: Record<
      string,
      { entryPoints: string[]; rule: string; middlewares: string[]; service: string; tls: object }
    >
    middlewares: Record<string, { basicAuth: { users: string[] } }>
    services: Record<string, { loadBalancer: { servers: { url: string }[] } }>
  }
  for (const router of Object.values(routers)) {
    // A router without a password would be a way around it.
    expect(router.middlewares).toContain('password')
    for (const name of router.middlewares) expect(Object.keys(middlewares)).toContain(name)
    for (const name of router.entryPoints) expect(Object.keys(statics.entryPoints)).toContain(name)
    expect(Object.keys(services)).toContain(router.service)
    expect(router.tls).toEqual({})
    expect(router.rule).toMatch(/^PathPrefix\(`[^`]*`\)$/)
  }
  for (const user of middlewares['password']!.basicAuth.users)
    expect(user).toMatch(/^[^:]+:\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}$/)
  // The port that the firewall opens is the one that is listened on; the one behind it is the application's.
  const ports = Object.values(statics.entryPoints).map(({ address }) => Number(/^:(\d+)$/.exec(address)![1]))
  expect(config!.network?.firewall?.inbound?.wan?.tcp).toEqual(ports)
  const [published] = String(web!.Container['PublishPort']).split(':')
  expect(services['application']!.loadBalancer.servers).toEqual([{ url: `http://127.0.0.1:${published}` }])
})
