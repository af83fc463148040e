import { setGlobalProxyFromEnv } from 'node:http'
import { basename, join } from 'node:path'
import type { XzDecoder } from './archive/decompress.ts'
import { PackageStore } from './archive/package-store.ts'
import { UserError } from './errors.ts'
import { Fetcher, LockedFileGone } from './fetch/fetcher.ts'
import { chooseMirrors, type Mirrors } from './fetch/mirrors.ts'
import { fetchNpmPackage } from './fetch/npm-package.ts'
import type { Lock, LockedPackage } from './lock/lock.ts'
import { readLock } from './lock/read-lock.ts'
import type { Reporter } from './reporter.ts'
import { hostArchitecture } from './tools/host.ts'
import { isToolTarget, type ToolTargetName, toolLockTarget } from './tools/targets.ts'
import { openToolTree, type UnpackedToolTree } from './tools/tool-tree.ts'
import type { Tree } from './tree/tree.ts'
import type { Workspace } from './workspace.ts'

export interface InputsOptions {
  readonly workspace: Workspace
  readonly reporter: Reporter
  readonly signal: AbortSignal
  /** Instead of the lock file's content; for whoever has just made a new one. */
  readonly lock?: Lock
}

export interface UnpackedPackage {
  readonly name: string
  readonly locked: LockedPackage
  readonly tree: Tree
}

/**
 * Everything a build takes from outside of the repository, as the lock names it. Whatever is missing is fetched,
 * verified and unpacked when it is asked for; asking twice costs nothing. All methods throw UserError;
 * LockedFileGone when the mirror no longer has a file.
 */
export class Inputs {
  readonly lock: Lock
  readonly #options: InputsOptions
  readonly #fetcher: Fetcher
  readonly #store: PackageStore
  readonly #trees = new Map<string, Promise<UnpackedToolTree>>()
  #mirrors: Mirrors | undefined
  #xz: Promise<XzDecoder> | undefined

  constructor(lock: Lock, options: InputsOptions) {
    const { reporter, signal } = options
    const { cacheDir } = options.workspace
    this.lock = lock
    this.#options = options
    this.#fetcher = new Fetcher({
      cacheDir,
      reporter,
      signal,
      mirrors: () => this.mirrors(),
      epochSeconds: lock.sourceDateEpoch,
    })
    this.#store = new PackageStore({
      cacheDir,
      reporter,
      signal,
      debPath: (file) => this.#fetcher.pathOf(file),
      xz: () => this.#decoder(),
    })
  }

  /** The mirrors in use; throws UserError when there is none. */
  mirrors(): Mirrors {
    if (this.#mirrors === undefined) {
      this.#mirrors = chooseMirrors(process.env)
      // As curl and apt do: http_proxy, https_proxy and no_proxy of the environment hold for our downloads too.
      setGlobalProxyFromEnv()
    }
    return this.#mirrors
  }

  /** Fetches all packages of the targets in one go, so that there is one progress display. */
  async fetchTargets(...names: readonly string[]): Promise<void> {
    const wanted = names
      .map(lockTargetHere)
      .flatMap((wantedBy) => this.#target(wantedBy).packages.map((file) => ({ file, wantedBy })))
    // What is unpacked needs no archive any more.
    await this.#fetcher.fetch(wanted.filter(({ file }) => !this.#store.has(file)))
  }

  async fetchTarget(name: string): Promise<void> {
    await this.fetchTargets(name)
  }

  /** One tree per package, in the order of `lock.targets[target].packages`. */
  async packageTrees(target: string): Promise<UnpackedPackage[]> {
    await this.fetchTarget(target)
    const { packages } = this.#target(target)
    const trees = await this.#store.packageTrees(packages)
    return packages.map((locked, index) => ({ name: locked.name, locked, tree: trees[index]! }))
  }

  /** `control`, `conffiles` and the maintainer scripts of a locked package, by name. */
  async packageControl(target: string, packageName: string): Promise<Map<string, string>> {
    const locked = this.#target(target).packages.find(({ name }) => name === packageName)
    if (locked === undefined) throw new Error(`target ${target} has no package ${packageName}`)
    await this.#fetcher.fetch([{ file: locked, wantedBy: target }])
    return this.#store.packageControl(locked)
  }

  /** The tree of programs, unpacked and ready to run. */
  toolTree(name: ToolTargetName): Promise<UnpackedToolTree> {
    let tree = this.#trees.get(name)
    if (tree === undefined) {
      tree = this.#openTree(name, this.#target(lockTargetHere(name)).packages, () => this.fetchTarget(name))
      this.#trees.set(name, tree)
      tree.catch(() => this.#trees.delete(name))
    }
    return tree
  }

  /** A tool tree of packages that are not locked (yet), for whoever makes the lock. */
  toolTreeOf(name: ToolTargetName, packages: readonly LockedPackage[]): Promise<UnpackedToolTree> {
    return this.#openTree(name, packages, () =>
      this.#fetcher.fetch(packages.map((file) => ({ file, wantedBy: name }))),
    )
  }

  /** The files of a locked source package as they are called upstream, with their verified copies. */
  async sourceFiles(
    name: string,
  ): Promise<{ readonly name: string; readonly path: string; readonly sha256: string }[]> {
    const source = this.lock.sources[name]
    if (source === undefined) throw new Error(`the lock has no source ${name}`)
    await this.#fetcher.fetch(source.files.map((file) => ({ file, wantedBy: name })))
    return source.files.map((file) => ({
      name: basename(file.path),
      path: this.#fetcher.pathOf(file),
      sha256: file.sha256,
    }))
  }

  /** The verified tarball (.tgz) of a locked npm package. */
  async npmPackage(name: string): Promise<string> {
    const locked = this.lock.npm.find((entry) => entry.name === name)
    if (locked === undefined) throw new Error(`the lock has no npm package ${name}`)
    const { workspace, reporter, signal } = this.#options
    return fetchNpmPackage(locked, {
      cacheDir: workspace.cacheDir,
      rootDir: workspace.rootDir,
      reporter,
      signal,
    })
  }

  #target(name: string): Lock['targets'][string] {
    const target = this.lock.targets[name]
    if (target === undefined) {
      throw new UserError(`the lock has no target ${name}`, { hint: 'run `./atomixos lock`', exitCode: 2 })
    }
    return target
  }

  #openTree(name: string, packages: readonly LockedPackage[], fetch: () => Promise<void>) {
    return openToolTree({
      name,
      packages,
      packageTrees: async () => {
        await fetch()
        return this.#store.packageTrees(packages)
      },
      cacheDir: this.#options.workspace.cacheDir,
      signal: this.#options.signal,
    })
  }

  /** Any target with xz in it will do: the three packages become a small tree of their own. */
  #decoder(): Promise<XzDecoder> {
    this.#xz ??= this.#openDecoder().catch((error: unknown) => {
      // The mirror has dropped one of them: slower then, until the lock is renewed.
      if (error instanceof LockedFileGone) return { kind: 'wasm' }
      throw error
    })
    return this.#xz
  }

  async #openDecoder(): Promise<XzDecoder> {
    const { workspace, reporter, signal } = this.#options
    const target = lockTargetHere('tools')
    const names = ['libc6', 'liblzma5', 'xz-utils']
    const packages = this.#target(target).packages.filter(({ name }) => names.includes(name))
    const store = new PackageStore({
      cacheDir: workspace.cacheDir,
      reporter,
      signal,
      debPath: (file) => this.#fetcher.pathOf(file),
      xz: async () => ({ kind: 'wasm' }),
    })
    const tree = await openToolTree({
      name: 'xz',
      packages,
      packageTrees: async () => {
        const wanted = packages.filter((file) => !store.has(file)).map((file) => ({ file, wantedBy: target }))
        await this.#fetcher.fetch(wanted)
        return store.packageTrees(packages)
      },
      cacheDir: workspace.cacheDir,
      signal,
    })
    return { kind: 'program', argv: [...tree.unconfined().loader, join(tree.dir, 'usr/bin/xz')] }
  }
}

/** Tool targets are locked for every architecture that builds; all others are what their name says. */
function lockTargetHere(name: string): string {
  return isToolTarget(name) ? toolLockTarget(name, hostArchitecture().debian) : name
}

/** Reads the lock; everything else happens when it is asked for. */
export async function openInputs(options: InputsOptions): Promise<Inputs> {
  return new Inputs(options.lock ?? (await readLock(options.workspace.lockPath)), options)
}
