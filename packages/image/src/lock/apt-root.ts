import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ToolResult, ToolTree } from '../tools/tools.ts'

/** Where programs see the local copy of the indices, and apt's own state. */
export const mirrorPath = '/mirror'
export const rootPath = '/apt'

/** A folder with apt's configuration, package lists and idea of what is installed, for one architecture. */
export class AptRoot {
  readonly dir: string
  readonly #tools: ToolTree
  readonly #mirrorDir: string
  readonly #signal: AbortSignal

  private constructor(options: AptRootOptions) {
    this.dir = options.dir
    this.#tools = options.tools
    this.#mirrorDir = options.mirrorDir
    this.#signal = options.signal
  }

  /** Empty but for the configuration: no lists, nothing installed. */
  static async create(options: AptRootOptions): Promise<AptRoot> {
    await rm(options.dir, { recursive: true, force: true })
    for (const dir of [
      ...['etc/apt.conf.d', 'etc/preferences.d', 'var/lib/apt/lists/partial'],
      ...['var/cache/apt/archives/partial', 'var/lib/dpkg'],
    ]) {
      await mkdir(join(options.dir, dir), { recursive: true })
    }
    const root = new AptRoot(options)
    await root.write('etc/sources.list', `${options.sources.join('\n')}\n`)
    await root.write('apt.conf', configuration(options.architecture))
    await root.write('var/lib/dpkg/status', '')
    return root
  }

  async write(name: string, text: string): Promise<void> {
    await writeFile(join(this.dir, name), text)
  }

  /** Runs apt-get or apt-cache. Throws ProgramFailed. */
  run(program: 'apt-get' | 'apt-cache', args: readonly string[], purpose: string): Promise<ToolResult> {
    return this.#tools.run({
      argv: [`/usr/bin/${program}`, ...args],
      purpose,
      mounts: [
        { hostPath: this.#mirrorDir, guestPath: mirrorPath, writable: false },
        { hostPath: this.dir, guestPath: rootPath, writable: true },
      ],
      env: { APT_CONFIG: `${rootPath}/apt.conf` },
      timeoutMs: 300_000,
      signal: this.#signal,
    })
  }
}

export interface AptRootOptions {
  readonly dir: string
  readonly tools: ToolTree
  readonly mirrorDir: string
  readonly architecture: string
  /** Lines of sources.list. */
  readonly sources: readonly string[]
  readonly signal: AbortSignal
}

function configuration(architecture: string): string {
  const settings: Readonly<Record<string, string>> = {
    'Acquire::ForceHash': 'SHA256',
    'Acquire::Languages': 'none',
    'APT::Architecture': architecture,
    'APT::Architectures': architecture,
    'APT::Get::AutomaticRemove': 'true',
    // Nothing is kept but for a dependency: kernels and essential packages are no exception here.
    'APT::AutoRemove::RecommendsImportant': 'false',
    'APT::AutoRemove::SuggestsImportant': 'false',
    'APT::Protect-Kernels': 'false',
    'pkgCacheGen::Essential': 'none',
    // A package that comes anew does not bring the newest of all others from its source.
    'APT::Get::Upgrade-By-Source-Package': 'false',
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
