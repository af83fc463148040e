/** Joins the parts: a recording in, checked points and disks to start out. Touches files, starts no machine. */
import { execFile } from 'node:child_process'
import { statSync } from 'node:fs'
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { copySparse, type Programs, WriteLog } from '@atomixos/machine'
import {
  type CheckedPoint,
  type CheckOptions,
  checkPoints,
  dataOffsetBytes,
  expectedImages,
} from './check-points.ts'
import { lookAtData } from './look.ts'
import { isOfInterest, lookAtConfiguration } from './look-at-configuration.ts'
import { type Phase, phases } from './phases.ts'
import { chooseBoots, choosePoints } from './points.ts'
import { readFiles } from './read-data.ts'
import {
  cutWrites,
  type Defect,
  defects,
  logFile,
  mayShow,
  type RecordingFile,
  recordingFile,
  type Step,
  studyRecording,
  withDefect,
} from './recording.ts'
import { ReplayedDisk } from './replay.ts'
import type { CampaignReport, DefectRun } from './report.ts'

export interface CampaignOptions {
  readonly recordingDir: string
  /** Some gigabytes come and go here. */
  readonly workDir: string
  /** With coreutils. */
  readonly programs: Programs
  /** With f2fs-tools. */
  readonly imagePrograms: Programs
  /** What was on the disk at power-on. */
  readonly imagePath: string
  readonly images: Readonly<Record<'A' | 'B', { readonly boot: string; readonly rootfs: string }>>
  readonly versions: Readonly<Record<'A' | 'B', string>>
  readonly points: number
  readonly seed: number
  readonly boots: number
  /** Points of each defect that is put in on purpose; 0: none. */
  readonly defectPoints: number
  /** In the recording itself: the report must not be good. */
  readonly defect?: Defect | undefined
  readonly log: (line: string) => void
}

/** A disk as a point left it. */
export interface KeptDisk {
  readonly point: CheckedPoint
  readonly dir: string
}

export const keptFiles = { disk: 'disk.raw', card: 'card.raw' } as const

export interface CampaignResult {
  /** Without boots: those are to be added. */
  readonly report: CampaignReport
  readonly kept: readonly KeptDisk[]
  readonly sets: RecordingFile['sets']
}

export async function runCampaign(options: CampaignOptions): Promise<CampaignResult> {
  const { recordingDir, seed, log: say } = options
  const recording = JSON.parse(await readFile(join(recordingDir, recordingFile), 'utf8')) as RecordingFile
  await using log = await WriteLog.open(join(recordingDir, logFile))
  await mkdir(options.workDir, { recursive: true })
  const original = await study(options, recording, log)
  const steps = withDefect(original, options.defect, recording.systemBytes)
  const writes = cutsThatMayShow(options.defect, steps, recording.systemBytes)
  const points = choosePoints(writes, { count: options.points, seed })
  const boots = new Set(chooseBoots(points, options.boots, seed).map(({ number }) => number))
  say(`${points.length} points in ${writes.length} writes of ${steps.length} entries`)
  const { checked, kept } = await check(options, {
    ...{ recording, log, steps, points, defect: options.defect },
    keepAt: boots,
  })
  const runs: DefectRun[] = []
  for (const defect of options.defectPoints > 0 ? defects : []) {
    runs.push(await runDefect(options, { recording, log, original, defect }))
  }
  const counts = phases.map((phase) => [phase, writes.filter((write) => write.phase === phase).length])
  const report: CampaignReport = {
    format: 1,
    seed,
    versions: options.versions,
    defect: options.defect,
    recording: {
      entries: steps.length,
      flushes: steps.filter(({ entry }) => entry.kind === 'flush').length,
      writtenBytes: steps.reduce((sum, { entry }) => sum + (entry.kind === 'write' ? entry.sizeBytes : 0), 0),
      writes: Object.fromEntries(counts) as Record<Phase, number>,
    },
    points: checked,
    boots: [],
    defects: runs,
  }
  return { report, kept, sets: recording.sets }
}

async function study(options: CampaignOptions, recording: RecordingFile, log: WriteLog): Promise<Step[]> {
  await using disk = await openDisk(options, recording)
  const { sectors } = wrongIn(disk.disk, 'a')
  if (sectors > 0) throw new Error(`slot A of the image is not the release: ${sectors} sectors differ`)
  const steps = await studyRecording(log, recording, disk.disk)
  for (const slot of ['a', 'b']) {
    const { sectors: wrong } = wrongIn(disk.disk, slot)
    if (wrong > 0) {
      throw new Error(`at the end of the recording ${wrong} sectors of slot ${slot} are not its release's`)
    }
  }
  const data = await lookAtData(options.imagePrograms, disk.dataPath)
  if (!data.consistent) throw new Error(`at the end of the recording /data is bad: ${data.detail}`)
  return steps
}

function wrongIn(disk: ReplayedDisk, slot: string): { sectors: number } {
  return { sectors: disk.wrongSectors(`boot-${slot}`) + disk.wrongSectors(`rootfs-${slot}`) }
}

async function check(
  options: CampaignOptions,
  given: Pick<CheckOptions, 'recording' | 'log' | 'steps' | 'points'> & {
    readonly defect: Defect | undefined
    /** Numbers of the points whose disks are wanted. */
    readonly keepAt: ReadonlySet<number>
  },
): Promise<{ checked: CheckedPoint[]; kept: KeptDisk[] }> {
  await using opened = await openDisk(options, given.recording)
  const { disk, lowPath, dataPath } = opened
  const kept: KeptDisk[] = []
  let done = 0
  const checked = await checkPoints({
    ...given,
    disk,
    versions: options.versions,
    ...(given.defect === 'single-environment' && { environmentCopies: 1 }),
    checkData: () => lookAtData(options.imagePrograms, dataPath),
    checkConfiguration: async ({ tree }) => {
      const wanted = new Map([...tree].filter(([path]) => isOfInterest(path)))
      const files = await readFiles(options.imagePrograms, dataPath, wanted, options.workDir)
      return lookAtConfiguration(tree, files, given.recording)
    },
    keep: async (point) => {
      if (!given.keepAt.has(point.number)) return
      const dir = join(options.workDir, `point-${point.number}`)
      await mkdir(dir, { recursive: true })
      await copySparse(options.programs, lowPath, join(dir, keptFiles.disk))
      await disk.writeSystemDisk(join(dir, keptFiles.disk))
      await writeFile(join(dir, keptFiles.card), disk.card)
      kept.push({ point, dir })
    },
    onChecked: () => {
      if (++done % 50 === 0) options.log(`${done} of ${given.points.length} points checked`)
    },
  })
  return { checked, kept }
}

/** With a defect only those at which it can be seen: a few points would pass by the few places there are. */
function cutsThatMayShow(
  defect: Defect | undefined,
  steps: readonly Step[],
  systemBytes: number,
): ReturnType<typeof cutWrites> {
  const all = cutWrites(steps)
  if (defect === undefined) return all
  return all.filter(({ index }) => mayShow(defect, steps[index]!, systemBytes))
}

/** The same checks on a recording in which something is wrong: they have to find it. */
async function runDefect(
  options: CampaignOptions,
  given: {
    readonly recording: RecordingFile
    readonly log: WriteLog
    readonly original: readonly Step[]
    readonly defect: Defect
  },
): Promise<DefectRun> {
  const { recording, log, original, defect } = given
  const steps = withDefect(original, defect, recording.systemBytes)
  const writes = cutsThatMayShow(defect, steps, recording.systemBytes)
  const points = choosePoints(writes, { count: options.defectPoints, seed: options.seed })
  const { checked } = await check(options, { recording, log, steps, points, defect, keepAt: new Set() })
  const count = (outcome: string) => checked.filter((point) => point.outcome === outcome).length
  const run: DefectRun = {
    defect,
    points: points.length,
    torn: count('torn'),
    bricks: count('brick'),
    example: checked.find(({ problems }) => problems.length > 0)?.problems[0],
  }
  options.log(`defect ${defect}: ${run.torn} torn, ${run.bricks} bricks of ${run.points}`)
  return run
}

async function openDisk(options: CampaignOptions, recording: RecordingFile) {
  const lowPath = join(options.workDir, 'low.raw')
  const dataPath = join(options.workDir, 'data.raw')
  await copySparse(options.programs, options.imagePath, lowPath)
  const disk = await ReplayedDisk.open({
    ...{ lowPath, dataPath, dataOffsetBytes },
    ...{ systemBytes: recording.systemBytes, cardBytes: recording.cardBytes },
    expected: expectedImages(options.images, (path) => statSync(path).size),
  })
  return {
    ...{ disk, lowPath, dataPath },
    [Symbol.asyncDispose]: async () => {
      await disk[Symbol.asyncDispose]()
      await Promise.all([lowPath, dataPath].map((path) => rm(path, { force: true })))
    },
  }
}

/**
 * The two images of a bundle, which is a squashfs with a signature behind it.
 *
 * @param programs Of the tree that has squashfs-tools.
 */
export async function unpackBundle(
  programs: Programs,
  bundlePath: string,
  dir: string,
): Promise<{ boot: string; rootfs: string }> {
  const images = { boot: join(dir, 'boot.vfat'), rootfs: join(dir, 'rootfs.squashfs') }
  await rm(dir, { recursive: true, force: true })
  const [program, ...argv] = programs.argv('unsquashfs')
  await promisify(execFile)(program!, [...argv, ...['-no-progress', '-no-xattrs', '-d', dir, bundlePath]], {
    timeout: 300_000,
    env: { ...programs.env },
  })
  await Promise.all(Object.values(images).map((path) => stat(path)))
  return images
}
