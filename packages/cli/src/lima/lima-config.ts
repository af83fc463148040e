/**
 * A virtual machine of Lima (lima-vm.io) in which the builds run where they cannot run themselves, on macOS above all. Pure:
 * what is written and what is called. Words of the configuration: `templates/default.yaml` of Lima.
 */
export interface LimaConfig {
  readonly minimumLimaVersion: string
  readonly base: readonly string[]
  readonly cpus: number
  readonly memory: string
  readonly disk: string
  readonly mounts: readonly { readonly location: string; readonly writable: boolean }[]
  readonly containerd: { readonly system: boolean; readonly user: boolean }
  readonly provision: readonly { readonly mode: 'system'; readonly script: string }[]
  readonly probes: readonly {
    readonly mode: 'readiness'
    readonly description: string
    readonly script: string
    readonly hint: string
  }[]
}

export const defaultVmName = 'atomixos'

/**
 * Caches have to be on a file system of Linux: the checkout's is a share of the host, which has no device nodes, no owners,
 * and is slow with the tens of thousands of files of a tree.
 */
export const cacheDirInVm = '/var/cache/atomixos'

/**
 * Debian, since its kernel lets ordinary users make user namespaces; with the Node and npm that `./atomixos` starts with.
 * The checkout is found in it at its own path, so that results in `dist/` are where they always are.
 */
export function limaConfig(options: {
  readonly rootDir: string
  /** Of the host. */
  readonly cpus: number
}): LimaConfig {
  return {
    minimumLimaVersion: '2.0.0',
    base: ['template:_images/debian-13'],
    cpus: Math.max(2, options.cpus),
    memory: '8GiB',
    disk: '60GiB',
    mounts: [{ location: options.rootDir, writable: true }],
    // Lima would install it, for nobody.
    containerd: { system: false, user: false },
    provision: [
      {
        mode: 'system',
        // Lima runs it at every start.
        script: `#!/bin/sh
set -eu
install -d -o '{{.User}}' ${cacheDirInVm}
if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
  apt-get update
  DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends nodejs npm
fi
`,
      },
    ],
    probes: [
      {
        mode: 'readiness',
        description: 'Node and npm to be installed',
        script: `#!/bin/sh
n=0
until command -v node >/dev/null && command -v npm >/dev/null; do
  n=$((n + 1))
  [ "$n" -le 60 ] || exit 1
  sleep 5
done
`,
        hint: 'see /var/log/cloud-init-output.log in the virtual machine',
      },
    ],
  }
}

/** As Lima reads it: YAML, of which JSON is a part. */
export function renderLimaConfig(config: LimaConfig): string {
  return `${JSON.stringify(config, null, 2)}\n`
}

/** The same command without the words that sent it into the virtual machine. */
export function argumentsInVm(args: readonly string[]): string[] {
  const kept: string[] = []
  for (let n = 0; n < args.length; n += 1) {
    const word = args[n]!
    if (word === '--') return [...kept, ...args.slice(n)]
    if (word === '--lima' || word.startsWith('--vm=')) continue
    if (word === '--vm') n += 1
    else kept.push(word)
  }
  return kept
}

/** Variables of ours that mean the same in the virtual machine. */
const handedOn = ['ATOMIXOS_DEBIAN_MIRROR', 'NO_COLOR', 'TERM']

/** What is called, in this order; the last one is the command itself. */
export function limaCalls(options: {
  readonly name: string
  /** Whether Lima knows a machine of this name already. */
  readonly exists: boolean
  readonly configPath: string
  readonly rootDir: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
}): { readonly start: readonly string[]; readonly run: readonly string[] } {
  const { name, rootDir } = options
  const variables = handedOn.flatMap((key) => {
    const value = options.env[key]
    return value === undefined ? [] : [`${key}=${value}`]
  })
  return {
    start: options.exists
      ? ['start', '--tty=false', name]
      : ['start', '--tty=false', `--name=${name}`, options.configPath],
    run: [
      ...['shell', '--workdir', rootDir, name],
      ...['env', `ATOMIXOS_CACHE_DIR=${cacheDirInVm}`, ...variables],
      ...[`${rootDir}/atomixos`, ...argumentsInVm(options.args)],
    ],
  }
}
