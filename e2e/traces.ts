import type { Machine } from '@atomixos/machine'

/** What must be the same after a change that changes nothing, as `name: value`. */
const countsOf: Readonly<Record<string, string>> = {
  'folders of configurations': 'ls -d /data/config* | tr "\\n" " "',
  'entries of /data': 'ls -A /data | sort | tr "\\n" " "',
  'entries of /etc': 'find /etc -xdev | wc -l',
  'entries of /run/atomixos': 'ls -A /run/atomixos | sort | tr "\\n" " "',
  accounts: 'wc -l </etc/passwd',
  mounts: 'wc -l </proc/mounts',
  // Programs of a moment, such as this one, end on their own.
  'programs that stay': "ps -eo comm= | grep -Ecv '^(ps|sh|grep|cat|sleep|kworker.*|systemctl)$'",
  'units of the system': 'systemctl list-units --all --plain --no-legend | wc -l',
  'transient units': 'ls -A /run/systemd/transient | wc -l',
  'files that the first process has open': 'ls /proc/1/fd | wc -l',
  'rules of the firewall': 'nft list ruleset | wc -l',
  'network interfaces': 'ls /sys/class/net | tr "\\n" " "',
  'containers of root': 'podman ps -aq | wc -l',
  'images of root': 'podman images -q | wc -l',
  'layers of root': 'ls -A /data/containers/storage/overlay | wc -l',
  'layers of appsvc': 'ls -A /data/containers/appsvc/storage/overlay | wc -l',
  'volumes of appsvc': 'ls -A /data/containers/appsvc/storage/volumes | wc -l',
  'temporary files': 'find /tmp /var/tmp -mindepth 1 | grep -vc systemd-private || true',
}

/** There need not be any; of everything else nothing would mean that it was not seen. */
const mayBeNone: ReadonlySet<string> = new Set(['transient units', 'temporary files'])

/** What may breathe, in KiB, and by how much over a hundred changes. */
const sizesOf = {
  // Its journal of units and jobs: it keeps what it has once needed.
  'memory of the first process': {
    command: "sed -n 's/^RssAnon:[^0-9]*\\([0-9]*\\).*/\\1/p' /proc/1/status",
    growthMaxKiB: 4096,
  },
  'memory of the services': {
    command:
      'for unit in dbus-broker systemd-logind systemd-networkd systemd-udevd dnsmasq chrony rauc system-log; do pid=$(systemctl show -P MainPID $unit); if [ "$pid" -gt 0 ]; then cat /proc/$pid/status; fi; done | awk \'/^RssAnon/ { sum += $2 } END { print sum + 0 }\'',
    growthMaxKiB: 8192,
  },
  // Events of each change, and the log within its bounds.
  'what is used of /data': { command: 'sync; df --output=used -k /data | tail -n 1', growthMaxKiB: 24 << 10 },
  'what is used of /run': { command: 'df --output=used -k /run | tail -n 1', growthMaxKiB: 4096 },
  'memory of the kernel that is not given back': {
    command: "sed -n 's/^SUnreclaim:[^0-9]*\\([0-9]*\\).*/\\1/p' /proc/meminfo",
    growthMaxKiB: 16 << 10,
  },
} as const

export interface Traces {
  readonly counts: Readonly<Record<string, string>>
  readonly sizesKiB: Readonly<Record<keyof typeof sizesOf, number>>
}

/** What changes of the configuration leave behind, if they do. */
export async function readTraces(gateway: Machine): Promise<Traces> {
  const ask = async (command: string) => (await gateway.succeed(command, { timeoutMs: 120_000 })).trim()
  const counts: Record<string, string> = {}
  for (const [name, command] of Object.entries(countsOf)) {
    counts[name] = await ask(command)
    if (/^0?$/.test(counts[name]) && !mayBeNone.has(name)) throw new Error(`${name}: there are none`)
  }
  const sizes: [string, number][] = []
  for (const [name, { command }] of Object.entries(sizesOf)) {
    const sizeKiB = Number(await ask(command))
    if (!(sizeKiB > 0)) throw new Error(`${name} cannot be seen`)
    sizes.push([name, sizeKiB])
  }
  return { counts, sizesKiB: Object.fromEntries(sizes) as unknown as Traces['sizesKiB'] }
}

/** Sizes that have grown by more than they may, as sentences. Pure. */
export function grown(before: Traces, after: Traces): string[] {
  return Object.entries(sizesOf).flatMap(([name, { growthMaxKiB }]) => {
    const key = name as keyof typeof sizesOf
    const growthKiB = after.sizesKiB[key] - before.sizesKiB[key]
    return growthKiB <= growthMaxKiB ? [] : [`${name} has grown by ${growthKiB} KiB`]
  })
}
