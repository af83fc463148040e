/**
 * A tree of locked Debian packages for the host's architecture, and the one door through which a build step
 * runs a program of it: no network, an environment built from nothing, no path of the host visible but the
 * mounts that are named.
 */
export interface ToolTree {
  /** Hash of the locked packages in it: part of the identity of every step that uses it. */
  readonly id: string
  /** Where it is unpacked on the host. */
  readonly dir: string
  run(spec: ToolRun): Promise<ToolResult>
  /** For programs that need the host's files and network, such as QEMU: how to start them on the host itself. */
  unconfined(): ProgramArguments
}

/**
 * A program of a tree started on the host by the tree's own loader and libraries, whatever C library the host
 * has: `[...loader, join(tree.dir, 'usr/bin/qemu-img'), ...arguments]`. What that program starts in turn must be
 * started in the same way.
 */
export interface ProgramArguments {
  readonly loader: readonly [string, ...string[]]
  /** To be added to the program's environment: where it finds its plug-ins in the tree. */
  readonly env: Readonly<Record<string, string>>
}

export interface ToolRun {
  /** Program and arguments as seen inside, for example ['/usr/bin/mkfs.vfat', '--invariant', '/scratch/boot.vfat']. */
  readonly argv: readonly [string, ...string[]]
  /** Shown in errors: what the program was needed for. */
  readonly purpose: string
  readonly mounts: readonly ToolMount[]
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  readonly stdin?: Uint8Array
  readonly timeoutMs: number
  readonly signal?: AbortSignal
  /** Gets every line of output while the program runs; for progress. */
  readonly onLine?: (line: string) => void
}

export interface ToolMount {
  readonly hostPath: string
  readonly guestPath: string
  readonly writable: boolean
}

export interface ToolResult {
  readonly stdout: string
  readonly stderr: string
}
