import type { IncomingMessage, ServerResponse } from 'node:http'
import { beforeAll, describe, expect, test } from 'vitest'
import { chooseMirrors, type Mirrors } from '../fetch/mirrors.ts'
import { startServer, type TestServer } from '../fetch/test-server.ts'
import { silentReporter } from '../reporter.ts'
import { openTestInputs, scratchDir } from '../tools/test-inputs.ts'
import type { ToolTree } from '../tools/tools.ts'
import type { Lock } from './lock.ts'
import type { LockDefinition } from './requests.ts'
import { resolveLock } from './resolve-lock.ts'

/** With the real apt on the real indices: a mirror must be in reach. */
const absent = await (async () => {
  try {
    const { debian } = chooseMirrors(process.env)
    const { ok } = await fetch(`${debian}/dists/trixie/InRelease`, { method: 'HEAD' })
    return ok ? undefined : 'the mirror does not answer'
  } catch (error) {
    return (error as Error).message
  }
})()

const definitionOf = (packages: string[], omit: string[]): LockDefinition => ({
  targets: { small: { architecture: 'arm64', packages, omit } },
  sources: [],
  npm: [],
})

describe.skipIf(absent)(`resolving with apt${absent ? ` (skipped: ${absent})` : ''}`, () => {
  let tools: ToolTree
  let dir: Awaited<ReturnType<typeof scratchDir>>
  beforeAll(async () => {
    tools = await (await openTestInputs()).toolTree('tools-lock')
    dir = await scratchDir()
    return () => dir[Symbol.asyncDispose]()
  })

  function resolve(options: {
    packages: string[]
    omit?: string[]
    previous?: Lock
    control?: string
    mirrors?: Mirrors
  }) {
    return resolveLock({
      definition: definitionOf(options.packages, options.omit ?? []),
      previous: options.previous,
      stale: new Set(['small']),
      readControl: async () => {
        if (options.control === undefined) throw new Error('every record is in the indices')
        return options.control
      },
      tools,
      mirrors: options.mirrors ?? chooseMirrors(process.env),
      cacheDir: dir.path,
      reporter: silentReporter,
      signal: new AbortController().signal,
    })
  }

  const names = (lock: Lock) => lock.targets.small!.packages.map(({ name }) => name)

  test('brings dependencies and no recommendations, and keeps what it has when asked again', async () => {
    const first = await resolve({ packages: ['dash', 'gzip'] })
    expect(names(first)).toEqual([...names(first)].sort())
    for (const name of ['dash', 'gzip', 'libc6']) expect(names(first)).toContain(name)
    for (const { architecture, path, sha256 } of first.targets.small!.packages) {
      expect(architecture).toMatch(/^(?:arm64|all)$/)
      expect(path).toMatch(/^pool\/(?:updates\/)?main\//)
      expect(sha256).toMatch(/^[0-9a-f]{64}$/)
    }
    expect(first.series).toBe('trixie')

    // Marked, so that one sees where each package comes from.
    const small = first.targets.small!
    const marked = small.packages.map((locked) => ({ ...locked, source: `kept-${locked.source}` }))
    const previous = { ...first, targets: { small: { ...small, packages: marked } } }
    const second = await resolve({ packages: ['dash', 'sed'], previous })
    const sources = new Map(second.targets.small!.packages.map(({ name, source }) => [name, source]))
    expect(sources.get('dash')).toBe('kept-dash')
    expect(sources.get('libc6')).toBe('kept-glibc')
    expect(sources.get('sed')).toBe('sed')
    expect(sources.has('gzip')).toBe(false)
  })

  test('leaves out what nothing asks for any more, even where it could still be of use', async () => {
    // gawk would do for a dependency on awk, which mawk fulfils.
    const previous = await resolve({ packages: ['base-files', 'mawk', 'gawk'] })
    expect(names(previous)).toEqual(expect.arrayContaining(['gawk', 'mawk']))
    expect(names(await resolve({ packages: ['base-files'], previous }))).toEqual(
      names(await resolve({ packages: ['base-files'] })),
    )
  })

  test('goes without what is omitted and what only that needs', async () => {
    const omit = ['debconf', 'libtext-wrapi18n-perl', 'sensible-utils']
    const whole = await resolve({ packages: ['ucf', 'dash'] })
    // ucf wants debconf in a certain version; perl is wanted by the others only.
    for (const name of [...omit, 'perl-base']) expect(names(whole)).toContain(name)
    const fresh = await resolve({ packages: ['ucf', 'dash'], omit })
    for (const name of [...omit, 'perl-base']) expect(names(fresh)).not.toContain(name)
    expect(fresh.targets.small!.omitted).toEqual(omit)
    const renewed = await resolve({ packages: ['ucf', 'dash'], omit, previous: whole })
    expect(names(renewed)).toEqual(names(fresh))
    expect(names(await resolve({ packages: ['ucf', 'dash'], previous: renewed }))).toEqual(names(whole))
  })

  test('keeps a package that depends on the very version of what is omitted', async () => {
    const omit = ['dbus', 'dbus-daemon']
    const first = await resolve({ packages: ['dbus-user-session'], omit })
    const small = first.targets.small!
    const packages = small.packages.map((locked) =>
      locked.name === 'dbus-user-session' ? { ...locked, version: '1.0', sha256: '0'.repeat(64) } : locked,
    )
    const control =
      'Package: dbus-user-session\nVersion: 1.0\nArchitecture: arm64\nDepends: dbus-daemon (= 1.0)\n'
    const previous = { ...first, targets: { small: { ...small, packages } } }
    const second = await resolve({ packages: ['dash', 'dbus-user-session'], omit, previous, control })
    const versions = new Map(second.targets.small!.packages.map(({ name, version }) => [name, version]))
    expect(versions.get('dbus-user-session')).toBe('1.0')
    for (const name of omit) expect(versions.has(name)).toBe(false)
  })

  test('knows every package that is omitted', async () => {
    await expect(resolve({ packages: ['dash'], omit: ['no-such-package'] })).rejects.toThrow(
      'target small omits what there is not: no-such-package',
    )
  })

  test('says what cannot be had', async () => {
    await expect(resolve({ packages: ['dash', 'no-such-package'] })).rejects.toThrow(
      'the packages of target small cannot be installed together on arm64:\nE: Unable to locate package no-such-package',
    )
  })

  test('refuses indices that somebody has changed on the way', async () => {
    await using server = await startForger((text) => text.replace('Origin: Debian', 'Origin: debian'))
    const base = server.address
    const mirrors = {
      debian: `${base}/debian`,
      'debian-security': `${base}/debian-security`,
      snapshot: undefined,
    }
    await expect(resolve({ packages: ['dash'], mirrors })).rejects.toThrow(
      /^apt does not accept the package indices of the mirror\n/,
    )
  })
})

/** The real mirror behind a server of our own that changes the Release files. */
function startForger(forge: (text: string) => string): Promise<TestServer> {
  const real = chooseMirrors(process.env)
  return startServer((request: IncomingMessage, response: ServerResponse) => {
    const [, archive, path] = /^\/([^/]+)\/(.*)$/.exec(request.url!)!
    const answer = async () => {
      const upstream = await fetch(`${real[archive as 'debian']}/${path}`)
      const bytes = Buffer.from(await upstream.arrayBuffer())
      const forged = path!.endsWith('/InRelease') ? Buffer.from(forge(bytes.toString('utf8'))) : bytes
      response.writeHead(upstream.status, { 'content-length': forged.length }).end(forged)
    }
    answer().catch(() => response.destroy())
  })
}
