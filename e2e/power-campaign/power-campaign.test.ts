import { statSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sectorBytes } from '@atomixos/config'
import { copySparse, cutKinds, hostPrograms, WriteLog } from '@atomixos/machine'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  type CheckedPoint,
  type CheckOptions,
  checkPoints,
  dataOffsetBytes,
  expectedImages,
} from './check-points.ts'
import { judge, type Observation } from './judge.ts'
import { newData } from './look-at-configuration.ts'
import { phases, spread } from './phases.ts'
import { chooseBoots, choosePoints } from './points.ts'
import {
  cutWrites,
  type Defect,
  defects,
  logFile,
  mayShow,
  placeOf,
  type Step,
  studyRecording,
  withDefect,
} from './recording.ts'
import { ReplayedDisk } from './replay.ts'
import { type CampaignReport, isGood, renderJson, renderPage, totalsOf } from './report.ts'
import { simulateSelector } from './selector.ts'
import { makeTestRecording, systemBytes, type TestRecording, testData } from './test-recording.ts'

const variables = (values: Readonly<Record<string, string>>) => new Map(Object.entries(values))

describe('the selector on paper', () => {
  const tries = (values: Readonly<Record<string, string>> | undefined, working = 'AB') =>
    simulateSelector(values && variables(values), (slot) => working.includes(slot)).tries.map(
      ({ slot, left }) => `${slot} A=${left.A} B=${left.B}`,
    )

  test.each([
    ['blank', undefined, ['A A=2 B=3']],
    ['an order', { BOOT_ORDER: 'B A' }, ['B A=3 B=2']],
    ['an order that is none', { BOOT_ORDER: 'A B A B' }, ['A A=2 B=3']],
    ['no number', { BOOT_A_LEFT: 'xyz', BOOT_B_LEFT: '999', BOOT_ORDER: 'B A' }, ['B A=3 B=2']],
    ['octal', { BOOT_A_LEFT: '010' }, ['A A=7 B=3']],
    ['A spent', { BOOT_A_LEFT: '0' }, ['B A=0 B=2']],
    ['B spent and alone in the order', { BOOT_ORDER: 'B', BOOT_B_LEFT: '0' }, ['A A=2 B=0']],
    ['both spent', { BOOT_ORDER: 'B A', BOOT_A_LEFT: '0', BOOT_B_LEFT: '0' }, ['B A=1 B=0']],
    [
      'both spent, A confirmed',
      { BOOT_ORDER: 'B A', BOOT_A_LEFT: '0', BOOT_B_LEFT: '0', SLOT_A_STATE: 'confirmed' },
      ['A A=0 B=0'],
    ],
  ])('%s', (_, values, expected) => {
    expect(tries(values)).toEqual(expected)
  })
  test('a slot that does not start costs its tries, then the other one comes', () => {
    expect(tries(undefined, 'B')).toEqual(['A A=2 B=3', 'A A=1 B=3', 'A A=0 B=3', 'B A=0 B=2'])
  })
  test('a confirmed slot that is dead is revived alone once', () => {
    const spent = { BOOT_A_LEFT: '0', BOOT_B_LEFT: '0', SLOT_A_STATE: 'confirmed' }
    expect(tries(spent, 'B')).toEqual(['A A=0 B=0', 'A A=0 B=1', 'B A=0 B=0'])
  })
  test('no slot ever starts', () => {
    expect(simulateSelector(undefined, () => false).started).toBeUndefined()
  })
})

describe('the judge', () => {
  const whole = { boot: 0, rootfs: 0 }
  const good = variables({
    BOOT_ORDER: 'A B',
    BOOT_A_LEFT: '9',
    BOOT_B_LEFT: '9',
    SLOT_A_STATE: 'confirmed',
    SLOT_B_STATE: 'previous',
  })
  const observed: Observation = {
    environment: { wholeCopies: [true, true], variables: good, allowed: [good] },
    slots: { A: { wrongSectors: whole, version: '1' }, B: { wrongSectors: whole, version: '2' } },
    table: { copy: 'primary', partitions: 'complete' },
    data: { consistent: true, detail: '' },
    configuration: undefined,
  }
  const torn = { wrongSectors: { boot: 0, rootfs: 7 }, version: '2' }
  const withState = (values: Readonly<Record<string, string>>, slots: Partial<Observation['slots']>) => {
    const now = new Map([...good, ...Object.entries(values)])
    const environment = { wholeCopies: [true, true], variables: now, allowed: [now] }
    return { ...observed, environment, slots: { ...observed.slots, ...slots } }
  }

  test('a whole device is whole', () => {
    expect(judge(observed)).toEqual({
      ...{ outcome: 'whole', first: 'A', comesUp: 'A', version: '1', problems: [] },
    })
  })
  test.each<[string, Observation, string, string]>([
    [
      'an environment of neither moment',
      { ...observed, environment: { ...observed.environment, allowed: [variables({})] } },
      'torn',
      'the environment is neither what it was before the write nor what it became: it says order A B; A: confirmed, 9 left; B: previous, 9 left, and should say order ?; A: no state, ? left; B: no state, ? left',
    ],
    [
      'no environment where there was one',
      { ...observed, environment: { ...observed.environment, variables: undefined } },
      'torn',
      'no copy of it is whole',
    ],
    [
      'a damaged /data',
      { ...observed, data: { consistent: false, detail: 'it says so' } },
      'torn',
      'it says so',
    ],
    ['the next slot is half', withState({ BOOT_ORDER: 'B A' }, { B: torn }), 'torn', 'slot B is tried next'],
    [
      'the way back is half',
      withState({}, { B: torn }),
      'torn',
      'slot B is "previous" and is not whole: 0 sectors of the boot files and 7 of the root are not those of 2',
    ],
    [
      'a half slot waits for its turn',
      withState({ SLOT_B_STATE: 'pending' }, { B: torn }),
      'torn',
      'slot B is "pending" and is not whole',
    ],
    ['two confirmed slots', withState({ SLOT_B_STATE: 'confirmed' }, {}), 'torn', 'both slots are confirmed'],
    [
      'no table',
      { ...observed, table: { copy: 'none', partitions: 'wrong' } },
      'brick',
      'neither partition table is valid',
    ],
    [
      'a table of something else',
      { ...observed, table: { copy: 'backup', partitions: 'wrong' } },
      'brick',
      'no whole system ever comes up',
    ],
    [
      'a configuration that is neither of two',
      {
        ...observed,
        configuration: { name: undefined, detail: 'a mixture', afterStart: undefined, mayBe: ['first'] },
      },
      'torn',
      'the next start would take this configuration: a mixture; it should take first',
    ],
    [
      'a /data that is gone, and nobody had asked for that',
      { ...observed, table: { copy: 'primary', partitions: 'reset' }, data: undefined },
      'torn',
      '/data is not in the partition table, and nobody has asked for a reset',
    ],
    ['two half slots', withState({}, { A: torn, B: torn }), 'brick', 'no whole system ever comes up'],
  ])('%s', (_, observation, outcome, problem) => {
    const verdict = judge(observation)
    expect(verdict.outcome).toBe(outcome)
    expect(verdict.problems.join('\n')).toContain(problem)
  })
  test('a slot that is being written is half, out of the order, and nothing is wrong with that', () => {
    const writing = withState({ BOOT_ORDER: 'A', BOOT_B_LEFT: '0', SLOT_B_STATE: 'pending' }, { B: torn })
    expect(judge(writing).outcome).toBe('whole')
  })
  test('so is a slot B that was never there', () => {
    const environment = { wholeCopies: [false, false], variables: undefined, allowed: [undefined] }
    expect(judge({ ...observed, environment, slots: { ...observed.slots, B: torn } }).outcome).toBe('whole')
  })
})

describe('points', () => {
  const writes = Array.from({ length: 700 }, (_, index) => ({ index, phase: phases[index % phases.length]! }))

  test('they add up, are the same for the same seed, and every phase has some', () => {
    const points = choosePoints(writes, { count: 60, seed: 3 })
    expect(points).toHaveLength(60)
    expect(choosePoints(writes, { count: 60, seed: 3 })).toEqual(points)
    expect(choosePoints(writes, { count: 60, seed: 4 })).not.toEqual(points)
    expect(new Set(points.map(({ phase }) => phase)).size).toBe(phases.length)
    expect(new Set(points.map(({ kind }) => kind)).size).toBe(cutKinds.length)
    expect(points.map(({ victim }) => victim)).toEqual(
      points.map(({ victim }) => victim).sort((a, b) => a - b),
    )
  })
  test('a phase without writes has none', () => {
    const counts = spread(1000, { ...Object.fromEntries(phases.map((p) => [p, 5])), install: 0 } as never)
    expect(counts.install).toBe(0)
    expect(Object.values(counts).reduce((a, b) => a + b)).toBe(1000)
  })
  test('boots are of as many phases as there can be', () => {
    const points = choosePoints(writes, { count: 60, seed: 3 })
    expect(
      chooseBoots(points, 2, 1)
        .map(({ phase }) => phase)
        .sort(),
    ).toEqual(['configuration', 'install'])
    expect(new Set(chooseBoots(points, phases.length, 1).map(({ phase }) => phase)).size).toBe(phases.length)
    expect(chooseBoots(points, 100, 1)).toHaveLength(60)
  })
})

describe('a recorded update', () => {
  let dir: string
  let recorded: TestRecording
  let steps: Step[]
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'campaign-'))
    recorded = await makeTestRecording(dir)
    steps = await study(recorded)
  })
  afterAll(() => rm(dir, { recursive: true, force: true }))

  async function openDisk(recording: TestRecording): Promise<ReplayedDisk> {
    const lowPath = join(recording.dir, 'low.raw')
    await copySparse(hostPrograms(), recording.imagePath, lowPath)
    return await ReplayedDisk.open({
      ...{ lowPath, dataPath: join(recording.dir, 'data.raw'), dataOffsetBytes },
      ...recording.file,
      expected: expectedImages(recording.images, (path) => statSync(path).size),
    })
  }

  async function study(recording: TestRecording): Promise<Step[]> {
    await using log = await WriteLog.open(join(recording.dir, logFile))
    await using disk = await openDisk(recording)
    const studied = await studyRecording(log, recording.file, disk)
    expect(['boot-a', 'rootfs-a', 'boot-b', 'rootfs-b'].map((name) => disk.wrongSectors(name))).toEqual([
      0, 0, 0, 0,
    ])
    return studied
  }

  /** As the real ones, for the few sectors of this /data. */
  function checksOf(disk: ReplayedDisk): Pick<CheckOptions, 'checkData' | 'checkConfiguration'> {
    const { format, pointer, areas, configurations } = testData
    const fillings = async (offset: number, sectors: number) => {
      const bytes = await disk.read(offset, sectors * sectorBytes)
      return [...new Set(bytes)]
    }
    return {
      checkData: async () => {
        const found = await fillings(format.offsetBytes, format.sectors)
        const consistent = found.length === 1
        return { consistent, detail: consistent ? '' : 'half formatted', tree: new Map() }
      },
      checkConfiguration: async () => {
        const [formatted] = await fillings(format.offsetBytes, format.sectors)
        if (formatted === format.new) return newData('new')
        const [active] = await fillings(pointer, 1)
        const content = await fillings(areas[active! - 1]!, 2)
        const name = Object.entries(configurations).find(
          ([, byte]) => content.length === 1 && content[0] === byte,
        )?.[0]
        return { name, detail: name ?? 'a mixture', afterStart: name }
      },
    }
  }

  /** Every write that made a difference, cut in every way, three times. */
  async function cutEverything(recording: TestRecording, given: Step[], defect?: Defect) {
    await using log = await WriteLog.open(join(recording.dir, logFile))
    await using disk = await openDisk(recording)
    const defective = withDefect(given, defect, systemBytes)
    const points = cutWrites(defective).flatMap(({ index, phase }) =>
      cutKinds.flatMap((kind) =>
        [1, 2, 3].map((seed) => ({ number: 0, phase, victim: index, kind, seed: seed * 7919 + index })),
      ),
    )
    return await checkPoints({
      ...{ log, steps: defective, recording: recording.file, disk, points },
      versions: { A: '0.1.0', B: '0.2.0' },
      ...(defect === 'single-environment' && { environmentCopies: 1 }),
      ...checksOf(disk),
    })
  }

  test('the phases are those of the marks, tables and the card', () => {
    const seen = steps.filter(({ changedSectors }) => changedSectors > 0).map(({ phase }) => phase)
    expect(new Set(seen)).toEqual(
      new Set([
        ...(['partitioning', 'first-boot', 'install', 'environment', 'confirmation'] as const),
        ...(['configuration', 'in-place', 'factory-reset'] as const),
      ]),
    )
    // Two sectors of the environment differ from copy to copy at the most; the rest of each is zeros.
    expect(seen.filter((phase) => phase === 'environment').length).toBeLessThan(14)
    expect(steps.at(-1)!.after?.get('SLOT_B_STATE')).toBe('confirmed')
    expect(steps[0]!.before).toBeUndefined()
  })

  test('no cut is a brick, nothing is torn, and every one hits', async () => {
    const checked = await cutEverything(recorded, steps)
    expect(checked.flatMap(({ problems }) => problems)).toEqual([])
    expect(totalsOf(checked)).toMatchObject({ torn: 0, bricks: 0, missed: 0 })
    const slots = checked.map(({ first }) => first)
    expect(new Set(slots)).toEqual(new Set(['A', 'B']))
    expect(checked.some(({ table }) => table === 'backup')).toBe(true)
    expect(checked.every(({ victim }) => victim.landedBytes < victim.sizeBytes)).toBe(true)
  })

  test.each(defects)('%s is found, where it is', async (defect) => {
    const checked = await cutEverything(recorded, steps, defect)
    const found = checked.filter(({ outcome }) => outcome !== 'whole')
    expect(found.length).toBeGreaterThan(0)
    const defective = withDefect(steps, defect, systemBytes)
    const shows = ({ victim }: CheckedPoint) => mayShow(defect, defective[victim.entry]!, systemBytes)
    expect(found.filter(shows).length).toBeGreaterThan(0)
    const problems = found.flatMap((point) => point.problems).join('\n')
    if (defect === 'single-environment') expect(problems).toContain('no copy of it is whole')
    if (defect === 'early-confirmation') expect(problems).toContain('slot B is tried next and is not whole')
    if (defect === 'in-place-promotion')
      expect(problems).toContain('a mixture; it should take second or first')
    if (defect === 'format-in-place') expect(problems).toContain('/data is not consistent: half formatted')
    if (defect === 'single-table') expect(found.map(({ outcome }) => outcome)).toContain('brick')
  })

  test('a slot that may be started before its writes are flushed is found', async () => {
    const other = await mkdtemp(join(tmpdir(), 'campaign-'))
    try {
      const recording = await makeTestRecording(other, { flushBeforeActivation: false })
      const checked = await cutEverything(recording, await study(recording))
      const problems = checked.flatMap((point) => point.problems)
      expect(problems.join('\n')).toContain('slot B is tried next and is not whole')
    } finally {
      await rm(other, { recursive: true, force: true })
    }
  })

  test('places have names', () => {
    const at = (offset: number) => placeOf(offset, recorded.file)
    expect(at(512)).toEqual({ device: 'disk', sector: 1, partition: 'partition table' })
    expect(at(systemBytes - 512).partition).toBe('partition table')
    expect(at(20 * 1024 * 1024).partition).toBe('boot-a')
    expect(at(systemBytes + 1024)).toEqual({ device: 'card', sector: 2, partition: 'environment' })
    expect(at(1024 * 1024).partition).toBeUndefined()
  })

  describe('the report', () => {
    const report = (points: readonly CheckedPoint[]): CampaignReport => ({
      ...{ format: 1, seed: 1, versions: { A: '<1>', B: '2' }, defect: undefined, points, boots: [] },
      recording: {
        ...{ entries: 1, flushes: 0, writtenBytes: 0 },
        writes: Object.fromEntries(phases.map((phase) => [phase, 1])) as never,
      },
      defects: [],
    })

    test('says good or not, and why, and is one page with nothing from elsewhere', async () => {
      const good = report(await cutEverything(recorded, steps.slice(0, 20)))
      expect(isGood(good)).toBe(true)
      const page = renderPage(good)
      expect(page).toContain('no brick, nothing torn, every cut hit')
      expect(page).toContain('&#60;1&#62;')
      expect(page).not.toMatch(/<script|https?:/)
      expect(JSON.parse(renderJson(good)).summary).toMatchObject({ good: true, total: { bricks: 0 } })
      const [point] = good.points
      const bad = report([{ ...point!, outcome: 'brick', problems: ['it is dead'] }])
      expect(isGood(bad)).toBe(false)
      expect(renderPage(bad)).toContain('it is dead')
      expect(isGood(report([{ ...point!, hit: false }]))).toBe(false)
      const run = { defect: 'single-table', points: 5, torn: 0, bricks: 0, example: undefined } as const
      expect(isGood({ ...good, defects: [run] })).toBe(false)
    })
  })
})
