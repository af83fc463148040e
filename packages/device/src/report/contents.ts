import { eventLogPath, olderLogPath, slotRecordsPath, systemLogPath } from '@atomixos/config'

/** One file of a report. */
export type ReportItem = {
  /** Of the file in the report. */
  readonly name: string
  /** What is longer is cut: the end of a log is what matters, the start of anything else. */
  readonly bytesMax: number
  readonly keep: 'start' | 'end'
} & ({ readonly argv: readonly [string, ...string[]] } | { readonly path: string })

const KiB = 1024

/** At most this long for each program, and for all. */
export const itemMs = 15_000
export const reportMs = 90_000

const program = (
  name: string,
  argv: readonly [string, ...string[]],
  limits: Partial<ReportItem> = {},
): ReportItem => ({ name: `${name}.txt`, argv, bytesMax: 256 * KiB, keep: 'start', ...limits }) as ReportItem

const log = (name: string, path: string, bytesMax = 512 * KiB): ReportItem => ({
  name,
  path,
  bytesMax,
  keep: 'end',
})

/**
 * What somebody far away needs to see why a device does not do what it should. Settings, keys and environments of
 * containers are not among it: `redact` is for what programs say by accident. What tells most comes first: the time for all
 * is bounded.
 */
export const reportItems: readonly ReportItem[] = [
  program('status', ['/usr/bin/atomixctl', 'status', '--json']),
  log('events.jsonl', eventLogPath),
  log('events.jsonl.1', olderLogPath(eventLogPath)),
  log('slots.json', slotRecordsPath),
  program('os-release', ['/usr/bin/cat', '/etc/os-release']),
  program('command-line', ['/usr/bin/cat', '/proc/cmdline']),
  program('kernel', ['/usr/bin/dmesg'], { keep: 'end' }),
  program('failed-units', ['/usr/bin/systemctl', 'status', '--failed', '--no-pager', '--full', '--lines=50']),
  program('containers', ['/usr/bin/podman', 'ps', '--all', '--format', '{{.Names}} {{.Image}} {{.Status}}']),
  program('firewall', ['/usr/sbin/nft', 'list', 'ruleset']),
  program('boot-environment', ['/usr/bin/fw_printenv']),
  program('rauc-status', ['/usr/bin/rauc', 'status', '--detailed', '--output-format=readable']),
  log('rauc.log', '/data/logs/rauc.log'),
  log('system.log', systemLogPath, 4096 * KiB),
  log('system.log.1', `${systemLogPath}.1`, 1024 * KiB),
  program(
    'journal',
    ['/usr/bin/journalctl', '--boot', '--no-pager', '--lines=10000', '-o', 'short-iso-precise'],
    {
      bytesMax: 4096 * KiB,
      keep: 'end',
    },
  ),
  program('units', ['/usr/bin/systemctl', 'list-units', '--all', '--no-pager', '--plain', '--full']),
  program('timers', ['/usr/bin/systemctl', 'list-timers', '--all', '--no-pager', '--full']),
  program('boot-time', ['/usr/bin/systemd-analyze', 'blame', '--no-pager']),
  program('addresses', ['/usr/bin/ip', 'address']),
  program('routes', ['/usr/bin/ip', 'route', 'show', 'table', 'all']),
  program('networks', ['/usr/bin/networkctl', 'status', '--all', '--no-pager', '--full', '--lines=0']),
  program('sockets', ['/usr/bin/ss', '-tulnp']),
  program('time', ['/usr/bin/chronyc', '-n', 'tracking']),
  program('disk-usage', ['/usr/bin/df', '-hT']),
  program('data-usage', ['/usr/bin/du', '-xh', '--max-depth=2', '/data']),
  program('partitions', ['/usr/bin/lsblk', '-o', 'NAME,SIZE,FSTYPE,PARTLABEL,MOUNTPOINTS']),
  program('memory', ['/usr/bin/free', '-m']),
  program('processes', ['/usr/bin/ps', '-eo', 'pid,ppid,user,stat,rss,time,comm']),
]
