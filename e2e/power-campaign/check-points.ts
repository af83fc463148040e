/** Cuts the power of a recorded machine at each point, on files, and judges what is left. */
import { crc32 } from 'node:zlib'
import { partitions, sectorBytes } from '@atomixos/config'
import { type Cut, type CutKind, planCut, type WriteLog } from '@atomixos/machine'
import { seededNumbers } from '../seeded.ts'
import { describe, judge, type Observation, type Verdict } from './judge.ts'
import { type DataLook, lookAtTable } from './look.ts'
import { type FoundConfiguration, newData } from './look-at-configuration.ts'
import type { Phase } from './phases.ts'
import type { Point } from './points.ts'
import { environmentCopies, environmentOf, placeOf, type RecordingFile, type Step } from './recording.ts'
import { differingSectors, type ReplayedDisk } from './replay.ts'

/** One checked point, as the report has it. */
export interface CheckedPoint {
  readonly number: number
  readonly phase: Phase
  /** May be another one than was asked for, when that would have changed nothing. */
  readonly kind: CutKind
  /** The write that the power was cut from under. */
  readonly victim: {
    readonly entry: number
    readonly what: 'write' | 'discard'
    readonly device: 'disk' | 'card'
    readonly partition: string | undefined
    readonly sector: number
    readonly sizeBytes: number
    /** Of its bytes, so many were put on the device. */
    readonly landedBytes: number
    /** Read back afterwards: sectors that do not hold what was written. The cut hit when there are any. */
    readonly missingSectors: number
  }
  readonly hit: boolean
  /** Entries that a flush had made sure of; the last one that was done at the cut. */
  readonly durableBefore: number
  readonly at: number
  /** Other writes since the flush that are not there, or only in part. */
  readonly othersLost: number
  readonly othersTorn: number
  readonly environment: string
  readonly outcome: Verdict['outcome']
  readonly first: Verdict['first']
  readonly comesUp: Verdict['comesUp']
  readonly version: string | undefined
  readonly table: Observation['table']['copy']
  readonly dataChecked: boolean
  /** What the next start takes, where the recording knows what it may be. */
  readonly configuration: string | undefined
  /** That by its name after the next start, which may reset it. */
  readonly takes: string | undefined
  readonly problems: readonly string[]
}

export interface CheckOptions {
  readonly log: WriteLog
  /** With a defect or without. */
  readonly steps: readonly Step[]
  readonly recording: RecordingFile
  /** As it was at power-on. */
  readonly disk: ReplayedDisk
  readonly points: readonly Point[]
  readonly versions: Readonly<Record<'A' | 'B', string>>
  /** 1 for a device that has no second copy. Default: 2. */
  readonly environmentCopies?: number
  readonly checkData: () => Promise<DataLook>
  /** What the next start would take of that /data. */
  readonly checkConfiguration: (data: DataLook) => Promise<FoundConfiguration>
  /** Called while the disk is as the point left it. */
  readonly keep?: (checked: CheckedPoint) => Promise<void>
  readonly onChecked?: (checked: CheckedPoint) => void
  readonly signal?: AbortSignal
}

/** Points in the order of the log. */
export async function checkPoints(options: CheckOptions): Promise<CheckedPoint[]> {
  const { log, steps, disk, points } = options
  const checked: CheckedPoint[] = []
  const entries = steps.map(({ entry }) => entry)
  let applied = 0
  for (const point of points) {
    options.signal?.throwIfAborted()
    const cut = (kind: CutKind) => {
      const uncached = (entry: { offsetBytes: number }) => entry.offsetBytes >= options.recording.systemBytes
      return planCut(entries, { victim: point.victim, kind, uncached, random: seededNumbers(point.seed) })
    }
    const { durableBefore } = cut(point.kind)
    for (; applied < durableBefore; applied++) {
      const { entry } = steps[applied]!
      if (entry.kind !== 'flush') await disk.apply(log, entry)
    }
    let result = await checkCut(options, point, cut(point.kind))
    // Another write put the same bytes there: without the victim alone it would have been another disk.
    if (!result.hit && point.kind !== 'lost') result = await checkCut(options, point, cut('lost'))
    checked.push(result)
    options.onChecked?.(result)
  }
  return checked
}

async function checkCut(options: CheckOptions, point: Point, cut: Cut): Promise<CheckedPoint> {
  const { log, disk, recording } = options
  disk.begin()
  try {
    for (const { entry, ranges } of cut.landed) await disk.apply(log, entry, ranges)
    const missingSectors = await countMissing(log, disk, cut)
    const observed = await observe(options, cut)
    const verdict = judge(observed)
    const size = (ranges: Cut['landed'][number]['ranges']) =>
      ranges.reduce((sum, range) => sum + range.sizeBytes, 0)
    const others = cut.landed.filter(({ entry }) => entry !== cut.victim)
    const victim = cut.landed.find(({ entry }) => entry === cut.victim)!
    const checked: CheckedPoint = {
      number: point.number,
      phase: point.phase,
      kind: cut.kind,
      victim: {
        entry: cut.victim.index,
        what: cut.victim.kind === 'discard' ? 'discard' : 'write',
        ...placeOf(cut.victim.offsetBytes, recording),
        sizeBytes: cut.victim.sizeBytes,
        landedBytes: size(victim.ranges),
        missingSectors,
      },
      hit: missingSectors > 0,
      durableBefore: cut.durableBefore,
      at: cut.at,
      othersLost: others.filter(({ ranges }) => ranges.length === 0).length,
      othersTorn: others.filter(({ entry, ranges }) => ranges.length > 0 && size(ranges) < entry.sizeBytes)
        .length,
      environment: describe(observed.environment.variables),
      outcome: verdict.outcome,
      first: verdict.first,
      comesUp: verdict.comesUp,
      version: verdict.version,
      table: observed.table.copy,
      dataChecked: observed.data !== undefined,
      configuration: observed.configuration?.detail,
      takes: observed.configuration?.afterStart,
      problems: verdict.problems,
    }
    if (checked.hit) await options.keep?.(checked)
    return checked
  } finally {
    await disk.rollback()
  }
}

/** The proof that the cut hit: what is on the device where the victim was to be, against its bytes. */
async function countMissing(log: WriteLog, disk: ReplayedDisk, { victim }: Cut): Promise<number> {
  const pieceBytes = 1024 * 1024
  let missing = 0
  for (let from = 0; from < victim.sizeBytes; from += pieceBytes) {
    const size = Math.min(pieceBytes, victim.sizeBytes - from)
    missing += differingSectors(
      await disk.read(victim.offsetBytes + from, size),
      await log.bytes(victim, from, size),
    )
  }
  return missing
}

async function observe(options: CheckOptions, cut: Cut): Promise<Observation> {
  const { disk, steps, recording, versions } = options
  const card = cut.victim.offsetBytes >= recording.systemBytes
  const { before, after } = steps[card ? cut.victim.index : cut.at]!
  const copies = environmentCopies(disk.card, options.environmentCopies)
  const table = await lookAtTable((offset, size) => disk.read(offset, size), recording.systemBytes)
  const data = table.partitions === 'complete' ? await options.checkData() : undefined
  const mayBe = configurationsAt(cut, steps, recording)
  const found = mayBe.length > 0 ? await findConfiguration(options, data) : undefined
  const content = (slot: 'A' | 'B') => ({
    wrongSectors: {
      boot: disk.wrongSectors(`boot-${slot.toLowerCase()}`),
      rootfs: disk.wrongSectors(`rootfs-${slot.toLowerCase()}`),
    },
    version: versions[slot],
  })
  return {
    environment: {
      wholeCopies: copies.map((copy) => crc32(copy.subarray(5)) === copy.readUInt32LE(0)),
      variables: environmentOf(disk.card, options.environmentCopies),
      allowed: card ? [before, after] : [after],
    },
    slots: { A: content('A'), B: content('B') },
    table,
    data,
    configuration: found && { ...found, mayBe },
  }
}

/** Names of what the next start may take: at the write that is cut, and until the power fails. None: it is not asked. */
function configurationsAt(cut: Cut, steps: readonly Step[], recording: RecordingFile): string[] {
  const places = [cut.victim.index, cut.at].map((index) => steps[index]!.entry.dataOffset)
  const marks = places.map((offset) =>
    recording.configurations.findLastIndex(({ logBytes }) => logBytes <= offset),
  )
  const [from, to] = [Math.min(...marks), Math.max(...marks)]
  return from === -1 ? [] : recording.configurations.slice(from, to + 1).flatMap(({ mayBe }) => mayBe)
}

/** undefined: fsck has said what is wrong, and there is nothing to read. */
async function findConfiguration(
  options: CheckOptions,
  data: DataLook | undefined,
): Promise<FoundConfiguration | undefined> {
  // Not in the table: the next start makes a new one.
  if (data === undefined) return newData('no /data, which the next start makes')
  return data.consistent ? await options.checkConfiguration(data) : undefined
}

/** What each partition of the recorded machine holds in the end, for `ReplayedDisk`. */
export function expectedImages(
  images: Readonly<Record<'A' | 'B', { readonly boot: string; readonly rootfs: string }>>,
  sizeOf: (path: string) => number,
) {
  return (['A', 'B'] as const).flatMap((slot) =>
    (['boot', 'rootfs'] as const).map((part) => {
      const name = `${part}-${slot.toLowerCase()}`
      const path = images[slot][part]
      const { offsetBytes } = partitions.find(({ label }) => label === name)!
      // The last sector of an image may be a part of one.
      const sizeBytes = Math.floor(sizeOf(path) / sectorBytes) * sectorBytes
      return { name, path, offsetBytes, sizeBytes }
    }),
  )
}

/** Where /data begins on the recorded disk, and so the file of its own. */
export const dataOffsetBytes = partitions.find(({ label }) => label === 'data')!.offsetBytes
