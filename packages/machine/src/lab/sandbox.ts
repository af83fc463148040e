/** What a program on a lab host sees as its file system: pure, the bwrap arguments for it. */

export interface SandboxSpec {
  readonly hostName: string
  /** Tree of the programs; undefined: this machine's own. */
  readonly rootDir: string | undefined
  /** Folder with the host's own `etc`, `root`, `run`, `tmp`, `var`. */
  readonly stateDir: string
  /** Seen under the same path, writable. */
  readonly folders: readonly string[]
  /** Device nodes, seen under the same path; `/dev` is otherwise an almost empty one of its own. */
  readonly devices?: readonly string[]
  /** Whether a path of this machine is a symlink, and to where; undefined: it does not exist. */
  readonly links: readonly { readonly name: string; readonly target: string }[]
  readonly env: Readonly<Record<string, string>>
}

/** Of a merged-usr system: links into `/usr`. */
export const topLinks = ['bin', 'sbin', 'lib', 'lib32', 'lib64', 'libx32']
export const stateFolders = ['etc', 'root', 'run', 'tmp', 'var']

export function sandboxArguments(spec: SandboxSpec): string[] {
  const fromTree = spec.rootDir !== undefined
  const env = {
    PATH: '/usr/sbin:/usr/bin',
    HOME: '/root',
    LC_ALL: 'C.UTF-8',
    ...spec.env,
  }
  return [
    ...['--unshare-pid', '--unshare-ipc', '--unshare-uts', '--hostname', spec.hostName, '--die-with-parent'],
    ...['--ro-bind', `${spec.rootDir ?? ''}/usr`, '/usr'],
    ...spec.links.flatMap(({ name, target }) => ['--symlink', target, `/${name}`]),
    // A tree's /etc is a copy that the host may write; this machine's own stays as it is.
    ...(fromTree ? [] : ['--ro-bind', '/etc', '/etc']),
    ...stateFolders
      .filter((name) => fromTree || name !== 'etc')
      .flatMap((name) => ['--bind', `${spec.stateDir}/${name}`, `/${name}`]),
    ...['--proc', '/proc', '--dev', '/dev'],
    ...spec.folders.flatMap((folder) => ['--bind', folder, folder]),
    ...(spec.devices ?? []).flatMap((path) => ['--dev-bind', path, path]),
    '--clearenv',
    ...Object.entries(env).flatMap(([name, value]) => ['--setenv', name, value]),
    ...['--chdir', '/root', '--'],
  ]
}
