import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { UserError } from '../errors.ts'
import { ProgramFailed } from '../tools/process.ts'
import type { ToolTree } from '../tools/tools.ts'
import { parsePrintedUris, parseStanzas, toLockedPackage } from './apt-output.ts'
import { suites } from './indices.ts'
import type { LockedPackage, LockedSource } from './lock.ts'

const mirrorPath = '/mirror'
const rootPath = '/apt'

/** The real apt, in the sandbox, on a local copy of the signed indices, for one architecture. */
export class Apt {
  readonly #tools: ToolTree
  readonly #mirrorDir: string
  readonly #rootDir: string
  readonly #architecture: string
  readonly #signal: AbortSignal

  private constructor(options: AptOptions, rootDir: string) {
    this.#tools = options.tools
    this.#mirrorDir = options.mirrorDir
    this.#rootDir = rootDir
    this.#architecture = options.architecture
    this.#signal = options.signal
  }

  /** Reads the indices; apt refuses them here when a signature, a hash or a date of validity is wrong. */
  static async open(options: AptOptions): Promise<Apt> {
    const rootDir = join(options.workDir, `apt-${options.architecture}`)
    await rm(rootDir, { recursive: true, force: true })
    for (const dir of [
      'etc/apt.conf.d',
      'etc/preferences.d',
      'var/lib/apt/lists/partial',
      'var/cache/apt/archives/partial',
      'var/lib/dpkg',
    ]) {
      await mkdir(join(rootDir, dir), { recursive: true })
    }
    const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg'
    const sources = suites.flatMap(({ archive, suite }) =>
      ['deb', 'deb-src'].map(
        (type) => `${type} [signed-by=${keyring}] copy:${mirrorPath}/${archive} ${suite} main`,
      ),
    )
    await writeFile(join(rootDir, 'etc/sources.list'), `${sources.join('\n')}\n`)
    await writeFile(join(rootDir, 'apt.conf'), configuration(options.architecture))
    await writeFile(join(rootDir, 'var/lib/dpkg/status'), '')
    const apt = new Apt(options, rootDir)
    try {
      await apt.#run('apt-get', ['update', '-qq', '--error-on=any'], 'check and read the package indices')
    } catch (error) {
      if (!(error instanceof ProgramFailed)) throw error
      throw new UserError(`apt does not accept the package indices of the mirror\n${error.message}`, {
        hint: 'the mirror may be outdated or in the middle of an update: try later, or another one with ATOMIXOS_DEBIAN_MIRROR',
        cause: error,
      })
    }
    return apt
  }

  /**
   * The packages that installing `requested` on an empty system brings, sorted by name. With `installed`, what of
   * them is still needed stays at its version, and only what is missing is added.
   */
  async solve(target: string, requested: readonly string[]): Promise<LockedPackage[]> {
    const args = ['install', '-qq', '--yes', '--print-uris', ...requested]
    let printed: string
    try {
      printed = (await this.#run('apt-get', args, `resolve target ${target}`)).stdout
    } catch (error) {
      if (!(error instanceof ProgramFailed)) throw error
      throw new UserError(
        `the packages of target ${target} cannot be installed together on ${this.#architecture}:\n${error.stderr.trim()}\n${error.stdout.trim()}`,
        {
          hint: 'change the package names in the definition; see the lines above for what apt misses',
          cause: error,
        },
      )
    }
    const uris = parsePrintedUris(printed, mirrorPath)
    if (uris.length === 0) throw new UserError(`target ${target} resolves to no package at all`)
    const names = uris.map(({ path }) => {
      const [name, version] = path.slice(path.lastIndexOf('/') + 1).split('_')
      return { name: name!, version: version!, path }
    })
    const shown = await this.#run(
      'apt-cache',
      ['show', '--all-versions', ...new Set(names.map(({ name }) => name))],
      `read the index records of target ${target}`,
    )
    const stanzas = new Map(parseStanzas(shown.stdout).map((stanza) => [stanza.get('filename'), stanza]))
    return uris
      .map((uri) => {
        const stanza = stanzas.get(uri.path)
        if (stanza === undefined) throw new Error(`no index record for ${uri.path}`)
        return toLockedPackage(uri, stanza)
      })
      .sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  /** The newest version of a source package, by its files. The .dsc is left out: mirrors may lack it. */
  async source(name: string): Promise<LockedSource> {
    const printed = await this.#run(
      'apt-get',
      ['source', '-qq', '--print-uris', '--only-source', name],
      `find the source of ${name}`,
    )
    const files = parsePrintedUris(printed.stdout, mirrorPath)
    const description = files.find(({ path }) => path.endsWith('.dsc'))
    if (description === undefined) throw new UserError(`there is no source package ${name} in the indices`)
    const folder = description.path.slice(0, description.path.lastIndexOf('/'))
    const shown = await this.#run(
      'apt-cache',
      ['showsrc', '--only-source', name],
      `read the record of source ${name}`,
    )
    const stanza = parseStanzas(shown.stdout).find(
      (fields) =>
        fields.get('directory') === folder &&
        (fields.get('files') ?? '').includes(description.path.slice(folder.length + 1)),
    )
    const sums = stanza?.get('checksums-sha256')
    if (sums === undefined) throw new Error(`no index record for source ${name}`)
    return {
      version: stanza!.get('version')!,
      files: [...sums.matchAll(/^([0-9a-f]{64}) (\d+) (\S+)$/gm)]
        .filter(([, , , file]) => !file!.endsWith('.dsc') && !file!.endsWith('.asc'))
        .map(([, sha256, size, file]) => ({
          archive: description.archive,
          path: `${folder}/${file}`,
          sizeBytes: Number(size),
          sha256: sha256!,
        }))
        .sort((a, b) => (a.path < b.path ? -1 : 1)),
    }
  }

  #run(program: string, args: readonly string[], purpose: string) {
    return this.#tools.run({
      argv: [`/usr/bin/${program}`, ...args],
      purpose,
      mounts: [
        { hostPath: this.#mirrorDir, guestPath: mirrorPath, writable: false },
        { hostPath: this.#rootDir, guestPath: rootPath, writable: true },
      ],
      env: { APT_CONFIG: `${rootPath}/apt.conf` },
      timeoutMs: 300_000,
      signal: this.#signal,
    })
  }
}

export interface AptOptions {
  readonly tools: ToolTree
  /** A local copy of the indices, laid out as a mirror: `debian/dists/...`. */
  readonly mirrorDir: string
  readonly workDir: string
  readonly architecture: string
  readonly signal: AbortSignal
}

function configuration(architecture: string): string {
  const settings: Readonly<Record<string, string>> = {
    'Acquire::ForceHash': 'SHA256',
    'Acquire::Languages': 'none',
    'APT::Architecture': architecture,
    'APT::Architectures': architecture,
    'APT::Get::AutomaticRemove': 'true',
    'APT::Install-Recommends': 'false',
    'APT::Install-Suggests': 'false',
    // The sandbox has one user only.
    'APT::Sandbox::User': 'root',
    'Dir::Cache': `${rootPath}/var/cache/apt`,
    'Dir::Etc': `${rootPath}/etc`,
    'Dir::Etc::sourcelist': `${rootPath}/etc/sources.list`,
    'Dir::Etc::sourceparts': '/dev/null',
    'Dir::State': `${rootPath}/var/lib/apt`,
    'Dir::State::status': `${rootPath}/var/lib/dpkg/status`,
  }
  return Object.entries(settings)
    .map(([name, value]) => `${name} "${value}";\n`)
    .join('')
}
