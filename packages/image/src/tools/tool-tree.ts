import { createHash, randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { diskError } from '../fetch/disk-error.ts'
import type { LockedPackage } from '../lock/lock.ts'
import { canonicalJson } from '../step/canonical-json.ts'
import type { Tree } from '../tree/tree.ts'
import { addMissingLinks, mergeToolPackages } from './complete-tree.ts'
import { type HostArchitecture, hostArchitecture } from './host.ts'
import { ProgramFailed, runProcess } from './process.ts'
import { loaderArgv, rootOptions, sandboxOptions } from './sandbox.ts'
import type { ProgramArguments, ToolResult, ToolRun, ToolTree } from './tools.ts'
import { writeTree } from './write-tree.ts'

/** Rises when the same packages would be laid out differently. */
const layoutVersion = 1

/** Identity of a tree: the locked packages and how they are laid out. 64 hex digits. */
export function toolTreeId(packages: readonly LockedPackage[]): string {
  const hashes = packages.map(({ sha256 }) => sha256).sort()
  return createHash('sha256').update(canonicalJson({ layoutVersion, hashes })).digest('hex')
}

/** The tree in `trees/NAME-ID/`, unpacked now when it is not there. Throws UserError. */
export async function openToolTree(options: {
  readonly name: string
  readonly packages: readonly LockedPackage[]
  /** The packages' trees in the same order; called only when the tree must be made. */
  readonly packageTrees: (packages: readonly LockedPackage[]) => Promise<readonly Tree[]>
  readonly cacheDir: string
  readonly signal: AbortSignal
}): Promise<UnpackedToolTree> {
  const id = toolTreeId(options.packages)
  const treesDir = join(options.cacheDir, 'trees')
  const dir = join(treesDir, `${options.name}-${id.slice(0, 32)}`)
  if (!existsSync(dir)) {
    const tree = addMissingLinks(mergeToolPackages(await options.packageTrees(options.packages)))
    const partial = join(treesDir, `.${options.name}-${randomBytes(6).toString('hex')}`)
    try {
      await mkdir(partial, { recursive: true })
      await writeTree(tree, partial, options.signal)
      await rename(partial, dir).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error
      })
    } catch (error) {
      throw diskError(error, treesDir) ?? error
    } finally {
      await rm(partial, { recursive: true, force: true })
    }
  }
  return new UnpackedToolTree(id, dir, hostArchitecture())
}

export class UnpackedToolTree implements ToolTree {
  readonly id: string
  readonly dir: string
  readonly #host: HostArchitecture
  readonly #root: readonly string[]

  constructor(id: string, dir: string, host: HostArchitecture) {
    this.id = id
    this.dir = dir
    this.#host = host
    this.#root = rootOptions(dir)
  }

  async run(spec: ToolRun): Promise<ToolResult> {
    const options = sandboxOptions({
      root: this.#root,
      mounts: spec.mounts,
      cwd: spec.cwd,
      env: spec.env ?? {},
    })
    try {
      return await runProcess({
        ...spec,
        argv: [
          ...loaderArgv(this.dir, this.#host),
          join(this.dir, 'usr/bin/bwrap'),
          ...options,
          ...spec.argv,
        ],
        shownArgv: spec.argv,
        env: {},
        cwd: '/',
      })
    } catch (error) {
      throw sandboxFailure(error, spec) ?? error
    }
  }

  unconfined(): ProgramArguments {
    return {
      loader: loaderArgv(this.dir, this.#host),
      env: { QEMU_MODULE_DIR: join(this.dir, this.#host.libraryDir, 'qemu') },
    }
  }
}

function sandboxFailure(error: unknown, spec: ToolRun): ProgramFailed | undefined {
  if (!(error instanceof ProgramFailed)) return undefined
  const complaint = /^bwrap: (.*)$/m.exec(error.stderr)?.[1]
  if (complaint === undefined) return undefined
  const facts = { stdout: error.stdout, stderr: error.stderr, cause: error }
  const notFound = /^execvp (.*): No such file or directory$/.exec(complaint)
  if (notFound !== null) {
    return new ProgramFailed(`${spec.purpose}: program not found in the tools: ${notFound[1]}`, facts)
  }
  const namespaces = /namespace|uid map|gid map|Operation not permitted/i.test(complaint)
  const cure = namespaces
    ? '\n  user namespaces seem to be off on this machine: allow them (sysctl kernel.apparmor_restrict_unprivileged_userns=0, user.max_user_namespaces) or run as root'
    : ''
  return new ProgramFailed(`${spec.purpose}: the sandbox could not be made: ${complaint}${cure}`, facts)
}
