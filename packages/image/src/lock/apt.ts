import { join } from 'node:path'
import type { PackageRequest } from '../definition/request.ts'
import { UserError } from '../errors.ts'
import { ProgramFailed } from '../tools/process.ts'
import type { ToolTree } from '../tools/tools.ts'
import { type PrintedUri, parsePrintedUris, parseStanzas, toLockedPackage } from './apt-output.ts'
import { AptRoot, mirrorPath } from './apt-root.ts'
import { suites } from './indices.ts'
import type { LockedPackage, LockedSource } from './lock.ts'
import { minimalSet, solverRecord } from './minimal-set.ts'

/** The real apt, in the sandbox, on a local copy of the signed indices, for one architecture. */
export class Apt {
  readonly #options: AptOptions
  readonly #root: AptRoot

  private constructor(options: AptOptions, root: AptRoot) {
    this.#options = options
    this.#root = root
  }

  /** Reads the indices; apt refuses them here when a signature, a hash or a date of validity is wrong. */
  static async open(options: AptOptions): Promise<Apt> {
    const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg'
    const sources = suites.flatMap(({ archive, suite }) =>
      (options.withSources ? ['deb', 'deb-src'] : ['deb']).map(
        (type) => `${type} [signed-by=${keyring}] copy:${mirrorPath}/${archive} ${suite} main`,
      ),
    )
    const dir = join(options.workDir, `apt-${options.architecture}`)
    const root = await AptRoot.create({ ...options, dir, sources })
    try {
      await root.run('apt-get', ['update', '-qq', '--error-on=any'], 'check and read the package indices')
    } catch (error) {
      if (!(error instanceof ProgramFailed)) throw error
      throw new UserError(`apt does not accept the package indices of the mirror\n${error.message}`, {
        hint: 'the mirror may be outdated or in the middle of an update: try later, or another one with ATOMIXOS_DEBIAN_MIRROR',
        cause: error,
      })
    }
    return new Apt(options, root)
  }

  /**
   * The packages that installing those of `request` brings, sorted by name. The omitted ones count as installed:
   * neither they nor what only they need is brought. Those of `previous` stay at their version unless something
   * requested cannot live with it, and go when nothing needs them any more.
   */
  async solve(target: string, request: PackageRequest, previous?: PreviousTarget): Promise<LockedPackage[]> {
    const { packages: requested, omit } = request
    const kept = (previous?.packages ?? []).filter(({ locked }) => !omit.includes(locked.name))
    const standIns = await this.#standIns(target, omit, kept)
    // What was omitted until now is asked for as well; `minimalSet` takes back what nothing needs.
    const restored = await this.#newest(
      kept.length > 0 ? previous!.omitted.filter((name) => !omit.includes(name)) : [],
    )
    await this.#install(requested, kept, `${standIns}${restored.map(temporaryStandIn).join('')}`)
    const names = [...requested, ...restored.map((control) => control.get('package')!)]
    const install = ['install', '-qq', '--yes', '--no-upgrade', ...names]
    const removed = new Set<string>()
    let uris: PrintedUri[]
    try {
      uris = parsePrintedUris(
        (await this.#root.run('apt-get', [...install, '--print-uris'], `resolve target ${target}`)).stdout,
        mirrorPath,
      )
      if (kept.length > 0) {
        const simulated = await this.#root.run(
          'apt-get',
          [...install, '--simulate'],
          `resolve target ${target}`,
        )
        for (const [, name] of simulated.stdout.matchAll(/^Remv (\S+)/gm)) removed.add(name!)
      }
    } catch (error) {
      if (!(error instanceof ProgramFailed)) throw error
      // What is kept may want exactly the older version of something that was or is omitted.
      if (kept.length > 0) return this.solve(target, request)
      throw unsolvable(target, this.#options.architecture, error)
    }
    const records = await this.#records(uris.map(({ path }) => packageNameOf(path)))
    const fresh = uris.map((uri): KeptPackage => {
      const control = records.get(uri.path)
      if (control === undefined) throw new Error(`no index record for ${uri.path}`)
      return { locked: toLockedPackage(uri, control), control }
    })
    const gone = new Set([...fresh.map(({ locked }) => locked.name), ...removed])
    const all = [...kept.filter(({ locked }) => !gone.has(locked.name)), ...fresh]
    const dir = join(this.#options.workDir, `minimal-${this.#options.architecture}`)
    const packages =
      kept.length === 0
        ? all.map(({ locked }) => locked)
        : await minimalSet(requested, all, { ...this.#options, dir, standIns })
    for (const { name } of packages) {
      // The dependencies want another version than the newest, or its stand-in is in conflict with something.
      if (omit.includes(name))
        throw new UserError(`target ${target} omits ${name}, but the solver does not do without it`, {
          hint: 'do not omit it, or omit what needs it, too',
        })
    }
    return packages.sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  /** Records of the signed indices by pool path, all versions there are of these packages. */
  async records(names: readonly string[]): Promise<Map<string, ReadonlyMap<string, string>>> {
    await this.#install([], [])
    return this.#records(names)
  }

  async #records(names: readonly string[]): Promise<Map<string, ReadonlyMap<string, string>>> {
    if (names.length === 0) return new Map()
    const shown = await this.#show(['--all-versions', ...new Set(names)])
    return new Map(shown.map((fields) => [fields.get('filename') ?? '', fields]))
  }

  async #show(args: readonly string[]): Promise<ReadonlyMap<string, string>[]> {
    const shown = await this.#root
      .run('apt-cache', ['show', '--quiet=1', ...args], 'read the package indices')
      .catch((error: unknown) => {
        // A name that is in no index (any more) is no failure here.
        if (error instanceof ProgramFailed && error.exitCodeOfProgram === 100) return error
        throw error
      })
    return parseStanzas(shown.stdout)
  }

  /**
   * Records of dpkg's status file that stand for omitted packages and need nothing: the newest version of each, or
   * the very one that a kept package asks for.
   */
  async #standIns(target: string, omit: readonly string[], kept: readonly KeptPackage[]): Promise<string> {
    const newest = await this.#newest(omit)
    const missing = omit.filter((name) => !newest.some((control) => control.get('package') === name))
    if (missing.length > 0) {
      throw new UserError(`target ${target} omits what there is not: ${missing.join(', ')}`, {
        hint: 'remove it from `omitPackages`',
      })
    }
    return newest
      .map((control) => {
        const version = exactVersion(control.get('package')!, kept) ?? control.get('version')!
        return statusRecord(new Map([...control, ['version', version]]), standInFields)
      })
      .join('')
  }

  async #newest(names: readonly string[]): Promise<ReadonlyMap<string, string>[]> {
    if (names.length === 0) return []
    await this.#install([], [])
    return this.#show(['--no-all-versions', ...names])
  }

  /** Makes apt believe that `kept` is installed, and all but `requested` only because something needed it. */
  async #install(requested: readonly string[], kept: readonly KeptPackage[], standIns = ''): Promise<void> {
    const automatic = kept.filter(({ locked }) => !requested.includes(locked.name))
    const states = automatic.map(
      ({ locked }) =>
        `Package: ${locked.name}\nArchitecture: ${this.#options.architecture}\nAuto-Installed: 1\n\n`,
    )
    await this.#root.write(
      'var/lib/dpkg/status',
      `${kept.map(({ control }) => statusRecord(control)).join('')}${standIns}`,
    )
    await this.#root.write('var/lib/apt/extended_states', states.join(''))
  }

  /** The newest version of a source package, by its files. The .dsc is left out: mirrors may lack it. */
  async source(name: string): Promise<LockedSource> {
    const printed = await this.#root.run(
      'apt-get',
      ['source', '-qq', '--print-uris', '--only-source', name],
      `find the source of ${name}`,
    )
    const files = parsePrintedUris(printed.stdout, mirrorPath)
    const description = files.find(({ path }) => path.endsWith('.dsc'))
    if (description === undefined) throw new UserError(`there is no source package ${name} in the indices`)
    const folder = description.path.slice(0, description.path.lastIndexOf('/'))
    const shown = await this.#root.run(
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
}

/** A package of the lock with its control fields, names in lower case. */
export interface KeptPackage {
  readonly locked: LockedPackage
  readonly control: ReadonlyMap<string, string>
}

/** A target as the lock has it. */
export interface PreviousTarget {
  readonly packages: readonly KeptPackage[]
  readonly omitted: readonly string[]
}

/** What dependencies ask of a package. */
const standInFields = ['package', 'version', 'architecture', 'multi-arch', 'provides']

function statusRecord(control: ReadonlyMap<string, string>, fields?: string[]): string {
  return `${solverRecord(control, fields)}Status: install ok installed\nMaintainer: none\nDescription: kept\n\n`
}

/** The version of `name` that one of these packages depends on as `name (= version)`. */
function exactVersion(name: string, packages: readonly KeptPackage[]): string | undefined {
  const pattern = new RegExp(`(?:^|[,|])\\s*${RegExp.escape(name)}(?::\\w+)?\\s*\\(=\\s*([^)\\s]+)\\s*\\)`)
  for (const { control } of packages) {
    const depends = `${control.get('depends') ?? ''},${control.get('pre-depends') ?? ''}`
    const version = pattern.exec(depends)?.[1]
    if (version !== undefined) return version
  }
  return undefined
}

/** Apt does not begin where an installed package lacks something; one of another name leaves room for the real one. */
function temporaryStandIn(control: ReadonlyMap<string, string>): string {
  const name = control.get('package')!
  const provides = [`${name} (= ${control.get('version')})`, control.get('provides')]
  const fields = new Map([
    ...control,
    ['package', `stand-in-${name}`],
    ['provides', provides.filter((provided) => provided !== undefined).join(', ')],
  ])
  return statusRecord(fields, standInFields)
}

function packageNameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1).split('_')[0]!
}

function unsolvable(target: string, architecture: string, error: ProgramFailed): UserError {
  const output = `${error.stderr.trim()}\n${error.stdout.trim()}`.trim()
  return new UserError(
    `the packages of target ${target} cannot be installed together on ${architecture}:\n${output}`,
    { hint: 'change the package names in the definition; the lines above say what apt misses', cause: error },
  )
}

export interface AptOptions {
  readonly tools: ToolTree
  /** A local copy of the indices, laid out as a mirror: `debian/dists/...`. */
  readonly mirrorDir: string
  readonly workDir: string
  readonly architecture: string
  /** The copy has the indices of source packages, too. */
  readonly withSources: boolean
  readonly signal: AbortSignal
}
