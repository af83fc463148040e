/** A recording as it is checked: its log, what each entry did, and the defects that can be put into it. */
import {
  bootEnvironments,
  bootVariables,
  type PartitionLayout,
  partitions,
  sectorBytes,
  storedVariables,
} from '@atomixos/config'
import type { LogEntry, WriteLog } from '@atomixos/machine'
import { readEnvironment } from '../firmware/read-environment.ts'
import type { ConfigurationSet } from './configurations.ts'
import { sameVariables } from './judge.ts'
import { type Mark, type Phase, type Uncut, uncut } from './phases.ts'
import type { CutWrite } from './points.ts'
import type { ReplayedDisk } from './replay.ts'

export const recordingFile = 'recording.json'
export const logFile = 'writes.log'

/** What `recording.json` says of the log beside it. */
export interface RecordingFile {
  readonly systemBytes: number
  readonly cardBytes: number
  readonly marks: readonly Mark[]
  /** What `/data/config` held, as the device told it. */
  readonly sets: Readonly<Record<string, ConfigurationSet>>
  /** From where in the log on which of them may be found; in order. What is before the first is not asked about. */
  readonly configurations: readonly ConfigurationMark[]
  /** `/data/identity/machine-id` before the reset. */
  readonly machineId: string
}

export interface ConfigurationMark {
  readonly logBytes: number
  /** Names of sets, or `none`: a new /data without any. */
  readonly mayBe: readonly string[]
}

export type Variables = ReadonlyMap<string, string>

/** An entry with what is known of it from the undisturbed run. */
export interface Step {
  readonly entry: LogEntry
  readonly phase: Phase | Uncut
  /** Sectors that were others before. 0 for a flush. */
  readonly changedSectors: number
  /** The environment before and after it; undefined while there is none. */
  readonly before: Variables | undefined
  readonly after: Variables | undefined
}

const { offsetsBytes, copyBytes } = bootEnvironments.qemu

/** The protective MBR, a header and 128 entries; the backup has no MBR. */
const tableSectors = 34

/** Applies the whole log. */
export async function studyRecording(
  log: WriteLog,
  recording: RecordingFile,
  disk: ReplayedDisk,
): Promise<Step[]> {
  const steps: Step[] = []
  let environment = environmentOf(disk.card)
  for (const entry of log.entries) {
    const before = environment
    const changedSectors = entry.kind === 'flush' ? 0 : await disk.apply(log, entry)
    const card = entry.offsetBytes >= recording.systemBytes && entry.kind !== 'flush'
    if (card && changedSectors > 0) {
      const now = environmentOf(disk.card)
      // The same object as long as it says the same.
      if (!sameVariables(now, environment)) environment = now
    }
    const phase = card ? 'environment' : markedPhase(entry, recording.marks)
    steps.push({ entry, phase, changedSectors, before, after: environment })
  }
  const lastTable = steps.findLastIndex(
    ({ entry, phase }) => phase === 'first-boot' && isTable(entry, recording.systemBytes),
  )
  return steps.map((step, index) =>
    index <= lastTable && step.phase === 'first-boot' ? { ...step, phase: 'partitioning' } : step,
  )
}

function markedPhase(entry: LogEntry, marks: readonly Mark[]): Mark['phase'] {
  return marks.findLast(({ logBytes }) => logBytes <= entry.dataOffset)?.phase ?? marks[0]!.phase
}

export function isTable({ kind, offsetBytes, sizeBytes }: LogEntry, systemBytes: number): boolean {
  if (kind !== 'write' || offsetBytes >= systemBytes) return false
  const backup = systemBytes - (tableSectors - 1) * sectorBytes
  return offsetBytes < tableSectors * sectorBytes || offsetBytes + sizeBytes > backup
}

/** Where on which device, for people. */
export function placeOf(
  offsetBytes: number,
  { systemBytes }: RecordingFile,
): {
  readonly device: 'disk' | 'card'
  readonly sector: number
  readonly partition: PartitionLayout['label'] | 'partition table' | 'environment' | undefined
} {
  if (offsetBytes >= systemBytes) {
    return {
      device: 'card',
      sector: (offsetBytes - systemBytes) / sectorBytes,
      partition: 'environment',
    }
  }
  const sector = offsetBytes / sectorBytes
  const fromEnd = systemBytes / sectorBytes - sector
  if (sector < tableSectors || fromEnd < tableSectors) {
    return { device: 'disk', sector, partition: 'partition table' }
  }
  const found = partitions.findLast((partition) => partition.offsetBytes <= offsetBytes)
  return { device: 'disk', sector, partition: found?.label }
}

export function cutWrites(steps: readonly Step[]): CutWrite[] {
  return steps.flatMap(({ phase, changedSectors }, index) =>
    changedSectors > 0 && !isUncut(phase) ? [{ index, phase }] : [],
  )
}

function isUncut(phase: Phase | Uncut): phase is Uncut {
  return uncut.includes(phase)
}

/** The copies that U-Boot would read from this card. */
export function environmentCopies(card: Buffer, count: number = offsetsBytes.length): Buffer[] {
  return offsetsBytes.slice(0, count).map((offset) => card.subarray(offset, offset + copyBytes))
}

/** What U-Boot takes from the newer whole copy. */
export function environmentOf(card: Buffer, count?: number): Variables | undefined {
  const all = readEnvironment(environmentCopies(card, count))
  return all && new Map([...all].filter(([name]) => name in storedVariables))
}

/**
 * Put into a recording to see that the campaign finds it. `single-environment`: one copy instead of two.
 * `early-confirmation`: the new release is confirmed before it is written. `single-table`: no backup partition table.
 * `in-place-promotion`: a configuration is copied over the active one, file by file, instead of taking its place.
 * `format-in-place`: a reset formats /data while it is in the partition table.
 */
export const defects = [
  ...(['single-environment', 'early-confirmation', 'single-table'] as const),
  ...(['in-place-promotion', 'format-in-place'] as const),
] as const

export type Defect = (typeof defects)[number]

/** Whether a cut of this write is one at which the defect may show. */
export function mayShow(defect: Defect, { entry, phase }: Step, systemBytes: number): boolean {
  switch (defect) {
    case 'single-environment':
      return phase === 'environment'
    case 'early-confirmation':
      return phase === 'install' && entry.offsetBytes >= slotB.offsetBytes && entry.offsetBytes < systemBytes
    case 'single-table':
      return isTable(entry, systemBytes)
    case 'in-place-promotion':
      return phase === 'configuration'
    case 'format-in-place':
      return phase === 'factory-reset'
  }
}

const slotB = partitions.find(({ label }) => label === 'boot-b')!

/** Pure. Entries get new numbers, as they are in another order. */
export function withDefect(steps: readonly Step[], defect: Defect | undefined, systemBytes: number): Step[] {
  if (defect === undefined) return [...steps]
  const changed = {
    'single-environment': () => steps.map((step) => inFirstCopy(step, systemBytes)),
    'early-confirmation': () => confirmEarly(steps, systemBytes),
    'single-table': () =>
      steps.filter(
        ({ entry }) => !isTable(entry, systemBytes) || entry.offsetBytes < tableSectors * sectorBytes,
      ),
    'in-place-promotion': () => steps.map(promoteInPlace),
    'format-in-place': () => formatInPlace(steps, systemBytes),
  }[defect]()
  return changed.map((step, index) => ({ ...step, entry: { ...step.entry, index } }))
}

function inFirstCopy(step: Step, systemBytes: number): Step {
  const { entry } = step
  const [first, second] = offsetsBytes.map((offset) => systemBytes + offset) as [number, number]
  if (entry.kind === 'flush' || entry.offsetBytes < second) return step
  return { ...step, entry: { ...entry, offsetBytes: entry.offsetBytes - second + first } }
}

function confirmEarly(steps: readonly Step[], systemBytes: number): Step[] {
  const confirmedAt = steps.findIndex(({ after }) => after?.get(bootVariables.state.B) === 'confirmed')
  const target = steps.findIndex(
    ({ entry, phase }) =>
      phase === 'install' &&
      entry.kind === 'write' &&
      entry.offsetBytes >= slotB.offsetBytes &&
      entry.offsetBytes < slotB.offsetBytes + slotB.sizeBytes!,
  )
  if (confirmedAt === -1 || target === -1) {
    throw new Error('the recording has no installation into slot B that is confirmed in the end')
  }
  const onCard = ({ entry }: Step) => entry.kind !== 'flush' && entry.offsetBytes >= systemBytes
  const change = steps.findLastIndex(({ before, after }, index) => index < confirmedAt && before !== after)
  const moved = new Set(steps.slice(change + 1, confirmedAt + 1).filter(onCard))
  const others = (part: readonly Step[]) => part.filter((step) => !moved.has(step))
  return [...others(steps.slice(0, target)), ...moved, ...others(steps.slice(target))]
}

/** Of the two ways of changing the configuration that were recorded the one that is wrong is cut. */
function promoteInPlace(step: Step): Step {
  if (step.phase === 'configuration') return { ...step, phase: 'aside' }
  return step.phase === 'in-place' ? { ...step, phase: 'configuration' } : step
}

/** Without the writes that take /data out of the table; what is cut then is the formatting. */
function formatInPlace(steps: readonly Step[], systemBytes: number): Step[] {
  const tables = steps.flatMap(({ entry, phase, changedSectors }, index) =>
    phase === 'factory-reset' && changedSectors > 0 && isTable(entry, systemBytes) ? [index] : [],
  )
  // It goes and it comes back, in as many writes.
  const removal = new Set(tables.slice(0, tables.length / 2))
  const [last, first] = [tables[tables.length / 2 - 1], tables[tables.length / 2]]
  if (last === undefined || first === undefined) {
    throw new Error('the recording has no reset that changes the partition table twice')
  }
  return steps.flatMap((step, index): Step[] => {
    if (removal.has(index)) return []
    const formatting = index > last && index < first
    return [step.phase === 'factory-reset' && !formatting ? { ...step, phase: 'aside' } : step]
  })
}
