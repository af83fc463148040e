import { type SlotName, type SlotState, slotOfCommandLine } from '@atomixos/config'
import { type DataSpace, isFull, renderDataSpace } from './data-space.ts'
import { parseBootState, slotNames } from './slots/boot-state.ts'
import { type FailedVersion, parseRecords } from './slots/records.ts'
import { parseAssignments } from './system-facts.ts'
import { type ChannelRecord, parseChannelRecords } from './upgrade/channel-records.ts'
import { parseLabels } from './upgrade/labels.ts'
import { type LastLook, parseLastLook, renderLastLook } from './upgrade/last-look.ts'

/** Everything `status` was told, as text or facts; nothing here looks at the machine. */
export interface Observed {
  readonly osRelease: string
  readonly commandLine: string
  readonly machineId: string | undefined
  readonly deviceTreeModel: string | undefined
  /** Contents of /proc/self/mounts. */
  readonly mounts: string
  /** Undefined: it cannot be asked. */
  readonly dataSpace: DataSpace | undefined
  readonly freshFlash: boolean
  /** Output of `fw_printenv`, or why there is none. */
  readonly bootEnvironment: { readonly text: string } | { readonly error: string }
  readonly failedUnits: readonly string[]
  /** Contents of the file with the slots' records, if there is one. */
  readonly slotRecords: string | undefined
  /** Contents of the files about updates, as far as there are any. */
  readonly labels: string | undefined
  readonly channelRecords: string | undefined
  readonly lastLook: string | undefined
}

export interface SlotStatus {
  /** Boots that are left to the slot before the other one is tried; undefined when it can't be read. */
  readonly triesLeft: number | undefined
  /** Ours, not RAUC's "good", which only means that tries are left; undefined: not known, never confirmed. */
  readonly state: SlotState | undefined
  readonly version: string | undefined
  /** When it came into this state. */
  readonly since: string | undefined
  readonly reason: string | undefined
}

export interface Status {
  readonly name: string
  readonly version: string
  readonly board: string | undefined
  readonly machineId: string | undefined
  readonly slot: SlotName | undefined
  readonly bootOrder: string | undefined
  readonly slots: Readonly<Record<SlotName, SlotStatus>>
  /** Versions that were installed and given up; not installed again unless somebody asks for it. */
  readonly failedVersions: readonly FailedVersion[]
  readonly update: {
    /** What roll-outs may call this device. */
    readonly labels: readonly string[]
    /** Signed channels that were followed, up to which number. */
    readonly channels: readonly Omit<ChannelRecord, 'identity'>[]
    /** What came of the last look for an update, and why; undefined: none since the start. */
    readonly lastLook: LastLook | undefined
  }
  readonly bootEnvironmentError: string | undefined
  readonly data: {
    readonly mounted: boolean
    readonly fileSystem: string | undefined
    /** Undefined without /data. */
    readonly space: DataSpace | undefined
    /** Applications cannot count on writing any more; the system itself goes on. */
    readonly full: boolean
  }
  readonly freshFlash: boolean
  readonly failedUnits: readonly string[]
}

export function parseStatus(observed: Observed): Status {
  const release = parseAssignments(observed.osRelease)
  const boot = parseBootState('text' in observed.bootEnvironment ? observed.bootEnvironment.text : '')
  const records = parseRecords(observed.slotRecords)
  const running = slotOfCommandLine(observed.commandLine)
  const data = observed.mounts
    .split('\n')
    .map((line) => line.split(' '))
    .find((fields) => fields[1] === '/data')
  const slotStatus = (slot: SlotName): SlotStatus => {
    const record = records.slots[slot]
    return {
      triesLeft: boot.left[slot],
      state: boot.state[slot],
      version: slot === running ? release.IMAGE_VERSION : record?.version,
      since: record?.since,
      reason: record?.failure ? `${record.failure.check}: ${record.failure.reason}` : record?.reason,
    }
  }
  return {
    name: release.PRETTY_NAME ?? release.NAME ?? 'unknown',
    version: release.IMAGE_VERSION ?? 'unknown',
    board: observed.deviceTreeModel,
    machineId: observed.machineId,
    slot: running,
    bootOrder: 'text' in observed.bootEnvironment ? boot.order.join(' ') : undefined,
    slots: { A: slotStatus('A'), B: slotStatus('B') },
    failedVersions: records.failedVersions,
    update: {
      labels: parseLabels(observed.labels),
      channels: parseChannelRecords(observed.channelRecords).map(({ identity: _, ...record }) => record),
      lastLook: parseLastLook(observed.lastLook),
    },
    bootEnvironmentError: 'error' in observed.bootEnvironment ? observed.bootEnvironment.error : undefined,
    data: {
      mounted: data !== undefined,
      fileSystem: data?.[2],
      space: data && observed.dataSpace,
      full: data !== undefined && observed.dataSpace !== undefined && isFull(observed.dataSpace),
    },
    freshFlash: observed.freshFlash,
    failedUnits: observed.failedUnits,
  }
}

type Row = [name: string, value: string]

export function renderStatus(status: Status): string {
  const boot =
    status.bootEnvironmentError === undefined
      ? `order ${status.bootOrder || '?'}`
      : `unreadable: ${status.bootEnvironmentError}`
  const rows: Row[] = [
    ['System', `${status.name}, version ${status.version}`],
    ['Board', status.board ?? 'unknown'],
    ['Machine id', status.machineId ?? 'none'],
    ['Running', `slot ${status.slot ?? 'unknown'}${status.freshFlash ? ' (first boot after flashing)' : ''}`],
    ['Boot', boot],
    ...slotNames.map((slot): Row => [`Slot ${slot}`, renderSlot(status.slots[slot])]),
    ...status.failedVersions.map(
      ({ version, reason, time }): Row => ['Given up', `version ${version} on ${time}: ${reason}`],
    ),
    ...(status.update.lastLook ? [['Update', renderLastLook(status.update.lastLook)] satisfies Row] : []),
    ...(status.update.labels.length > 0 ? [['Labels', status.update.labels.join(', ')] satisfies Row] : []),
    ['Data', renderData(status.data)],
    ['Failed units', status.failedUnits.length === 0 ? 'none' : status.failedUnits.join(', ')],
  ]
  const width = Math.max(...rows.map(([name]) => name.length))
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}\n`).join('')
}

function renderData({ mounted, fileSystem, space }: Status['data']): string {
  if (!mounted) return '/data is NOT mounted'
  return `/data is mounted (${fileSystem})${space === undefined ? '' : `, ${renderDataSpace(space)}`}`
}

function renderSlot({ state, version, triesLeft, since, reason }: SlotStatus): string {
  return [
    state ?? 'not confirmed',
    ...(version === undefined ? [] : [`version ${version}`]),
    `${triesLeft ?? '?'} tries left`,
    ...(since === undefined ? [] : [`since ${since}`]),
    ...(reason === undefined ? [] : [reason]),
  ].join(', ')
}
