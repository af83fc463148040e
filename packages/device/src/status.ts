import { bootVariables, type SlotName, slotOfCommandLine } from '@atomixos/config'

/** Everything `status` was told, as text or facts; nothing here looks at the machine. */
export interface Observed {
  readonly osRelease: string
  readonly commandLine: string
  readonly machineId: string | undefined
  readonly deviceTreeModel: string | undefined
  /** Contents of /proc/self/mounts. */
  readonly mounts: string
  readonly freshFlash: boolean
  /** Output of `fw_printenv`, or why there is none. */
  readonly bootEnvironment: { readonly text: string } | { readonly error: string }
  readonly failedUnits: readonly string[]
}

export interface Status {
  readonly name: string
  readonly version: string
  readonly board: string | undefined
  readonly machineId: string | undefined
  readonly slot: SlotName | undefined
  readonly bootOrder: string | undefined
  /** Boots that are left to each slot before the other one is tried; undefined when it can't be read. */
  readonly triesLeft: { readonly A: number | undefined; readonly B: number | undefined }
  readonly bootEnvironmentError: string | undefined
  readonly data: { readonly mounted: boolean; readonly fileSystem: string | undefined }
  readonly freshFlash: boolean
  readonly failedUnits: readonly string[]
}

export function parseStatus(observed: Observed): Status {
  const release = parseAssignments(observed.osRelease)
  const boot = 'text' in observed.bootEnvironment ? parseAssignments(observed.bootEnvironment.text) : {}
  const data = observed.mounts
    .split('\n')
    .map((line) => line.split(' '))
    .find((fields) => fields[1] === '/data')
  return {
    name: release.PRETTY_NAME ?? release.NAME ?? 'unknown',
    version: release.IMAGE_VERSION ?? 'unknown',
    board: observed.deviceTreeModel,
    machineId: observed.machineId,
    slot: slotOfCommandLine(observed.commandLine),
    bootOrder: boot[bootVariables.order],
    triesLeft: { A: tries(boot[bootVariables.triesLeft.A]), B: tries(boot[bootVariables.triesLeft.B]) },
    bootEnvironmentError: 'error' in observed.bootEnvironment ? observed.bootEnvironment.error : undefined,
    data: { mounted: data !== undefined, fileSystem: data?.[2] },
    freshFlash: observed.freshFlash,
    failedUnits: observed.failedUnits,
  }
}

export function renderStatus(status: Status): string {
  const left = (slot: SlotName) => status.triesLeft[slot] ?? '?'
  const boot =
    status.bootEnvironmentError === undefined
      ? `order ${status.bootOrder ?? '?'}, tries left A=${left('A')} B=${left('B')}`
      : `unreadable: ${status.bootEnvironmentError}`
  const rows: [string, string][] = [
    ['System', `${status.name}, version ${status.version}`],
    ['Board', status.board ?? 'unknown'],
    ['Machine id', status.machineId ?? 'none'],
    ['Slot', `${status.slot ?? 'unknown'}${status.freshFlash ? ' (first boot after flashing)' : ''}`],
    ['Boot', boot],
    ['Data', status.data.mounted ? `/data is mounted (${status.data.fileSystem})` : '/data is NOT mounted'],
    ['Failed units', status.failedUnits.length === 0 ? 'none' : status.failedUnits.join(', ')],
  ]
  const width = Math.max(...rows.map(([name]) => name.length))
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}\n`).join('')
}

/** `KEY=value` lines, with or without double quotes; other lines are ignored. */
function parseAssignments(text: string): Record<string, string> {
  const assignments: Record<string, string> = {}
  for (const line of text.split('\n')) {
    const match = /^([A-Za-z_][A-Za-z0-9_]*)=(.*)$/.exec(line)
    if (match) assignments[match[1]!] = match[2]!.replace(/^"(.*)"$/, '$1')
  }
  return assignments
}

function tries(value: string | undefined): number | undefined {
  return value !== undefined && /^\d$/.test(value) ? Number(value) : undefined
}
