/** Every write of a device's first life is recorded, and the power cut at seeded places of it: no brick, nothing torn. */
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bootPoint } from './power-campaign/boot-point.ts'
import { type CampaignResult, runCampaign, unpackBundle } from './power-campaign/campaign.ts'
import { recordedLife } from './power-campaign/record.ts'
import { type Defect, defects } from './power-campaign/recording.ts'
import { type BootedPoint, renderJson, renderPage, totalsOf } from './power-campaign/report.ts'
import { bundlePath, imagePath, imagePrograms, manifest, programs, setup, storyDir } from './setup.ts'

const { points, seed, boots, defect } = setup.campaign ?? {
  ...(setup.thorough ? { points: 1000, boots: 10 } : { points: 60, boots: 1 }),
  ...{ seed: 20261127, defect: undefined },
}

/** Of each defect, to see that the checks find it. */
const defectPoints = 20

describe(`power-campaign (${points} points, seed ${seed})`, () => {
  let dir: string
  let recordingDir: string
  let result: CampaignResult | undefined
  const booted: BootedPoint[] = []

  beforeAll(async () => {
    dir = await storyDir('power-campaign')
  })
  afterAll(() => rm(join(dir, 'next'), { recursive: true, force: true }))

  const say = (line: string) => process.stderr.write(`  ${line}\n`)

  async function writeReport(): Promise<void> {
    const report = { ...result!.report, boots: booted }
    await writeFile(join(dir, 'report.json'), renderJson(report))
    await writeFile(join(dir, 'report.html'), renderPage(report))
  }

  test('first boot, an update, changes of the configuration and a factory reset are recorded', {
    timeout: 5_400_000,
  }, async () => {
    recordingDir = await recordedLife(say)
  })

  test('the points are checked: no brick, nothing torn, every cut hit', { timeout: 7_200_000 }, async () => {
    result = await runCampaign({
      ...{ recordingDir, workDir: join(dir, 'disks'), programs, imagePrograms, imagePath },
      images: {
        A: { boot: join(setup.distDir, 'boot.vfat'), rootfs: join(setup.distDir, 'rootfs.squashfs') },
        B: await unpackBundle(imagePrograms, bundlePath('next'), join(dir, 'next')),
      },
      versions: { A: manifest.version, B: '0.2.0' },
      ...{ points, seed, boots, defectPoints: defect === undefined ? defectPoints : 0 },
      defect: defect as Defect | undefined,
      log: say,
    })
    await writeReport()
    const found = result.report.points.filter(({ problems, hit }) => problems.length > 0 || !hit)
    expect(
      found.map(({ number, phase, kind, victim, problems, hit }) => ({
        ...{ number, phase, kind, entry: victim.entry, problems, hit },
      })),
    ).toEqual([])
    expect(totalsOf(result.report.points)).toEqual({ points, whole: points, torn: 0, bricks: 0, missed: 0 })
  })

  test('the same checks find each defect that is put in on purpose', () => {
    const runs = result!.report.defects
    expect(runs.map((run) => run.defect)).toEqual(defect === undefined ? [...defects] : [])
    for (const run of runs) expect([run.defect, run.torn + run.bricks]).not.toEqual([run.defect, 0])
  })

  test('a sample starts for real, from the slot and with the release that was foretold', {
    timeout: 7_200_000,
  }, async () => {
    expect(result!.kept).toHaveLength(boots)
    for (const disk of result!.kept) {
      booted.push(await bootPoint(disk, result!.sets))
      say(`point ${disk.point.number} (${disk.point.phase}): ${booted.at(-1)!.problem ?? 'came up'}`)
      await writeReport()
    }
    expect(booted.filter(({ problem }) => problem !== undefined)).toEqual([])
    expect(booted.map(({ version }) => version)).toEqual(result!.kept.map(({ point }) => point.version))
  })
})
