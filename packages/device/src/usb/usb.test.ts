import { mkdir, mkdtemp, readdir, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { channelPath, DeltaError, renderChannel } from '@atomixos/config'
import { channelOf, nowMs, raucInfoOf, release } from '@atomixos/config/channel/test-channels.ts'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { copyFromStick } from './copy-file.ts'
import { findUpdates, type StickUpdates, stickLimits } from './find-updates.ts'
import { type ChosenUpdate, type JudgeOptions, judgeUpdates } from './judge-updates.ts'
import { renderReport, type StickReport } from './report.ts'
import { type StickDoors, updateFromStick } from './update-from-stick.ts'

let root: string
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'atomixos-stick-'))
})
afterEach(() => rm(root, { recursive: true, force: true }))

const names = { board: 'rock64', channel: 'stable' }
const channelFile = channelPath('rock64', 'stable')

async function put(path: string, content: string | Buffer = 'x'): Promise<void> {
  await mkdir(join(root, path, '..'), { recursive: true })
  await writeFile(join(root, path), content)
}

describe('what on a stick may be an update', () => {
  test('is a bundle, or a feed with our channel, in the root or in our folder', async () => {
    await put('b.raucb')
    await put('A.RAUCB')
    await put('atomixos/c.raucb')
    await put(`atomixos/${channelFile}`)
    await put('photos/d.raucb')
    expect(await findUpdates(root, names)).toEqual({
      bundles: ['A.RAUCB', 'b.raucb', 'atomixos/c.raucb'],
      feed: { folder: 'atomixos', channelFile },
    })
    await put(channelFile)
    expect((await findUpdates(root, names)).feed).toEqual({ folder: '.', channelFile })
    expect((await findUpdates(root, { ...names, board: 'other' })).feed).toBeUndefined()
  })

  test('is nothing on most sticks', async () => {
    await put('holiday.jpg')
    await put('._b.raucb')
    await put('empty.raucb', '')
    await put('folder.raucb/x')
    await put('large.raucb')
    await truncate(join(root, 'large.raucb'), 2 ** 30 + 1)
    await symlink('/etc/passwd', join(root, 'link.raucb'))
    await put(channelFile, Buffer.alloc((96 << 10) + 1))
    await put('atomixos', 'a file')
    expect(await findUpdates(root, names)).toEqual({ bundles: [], feed: undefined })
  })

  test('is looked for no longer than it makes sense', async () => {
    for (let n = 0; n < 100; n++) await put(`b${String(n).padStart(3, '0')}.raucb`)
    expect((await findUpdates(root, names)).bundles).toHaveLength(stickLimits.bundlesMax)
    for (let n = 0; n < stickLimits.entriesMax; n++) await put(`x${n}`)
    const { bundles } = await findUpdates(root, names)
    expect(bundles.length).toBeLessThanOrEqual(stickLimits.bundlesMax)
  })
})

const sha256 = 'cd'.repeat(32)

function judge(found: Partial<StickUpdates>, options: Partial<JudgeOptions> = {}) {
  return judgeUpdates(
    { bundles: [], feed: undefined, ...found },
    {
      ...{ ...names, compatible: 'atomixos-rock64', runningVersion: '1.3.0', runningSlot: 'confirmed' },
      failedVersions: [],
      // The version is in the name.
      readBundleInfo: async (path) => ({ compatible: 'atomixos-rock64', version: path.slice(0, -6) }),
      readChannelInfo: async () => {
        throw new Error('no channel was expected')
      },
      ...options,
    },
  )
}

const feed = { folder: 'atomixos', channelFile }
const withChannel = (changes: Parameters<typeof channelOf>[0]) => ({
  readChannelInfo: async () => raucInfoOf(renderChannel(channelOf(changes))),
})

describe('of what is there', () => {
  test('the newest that is good is taken, and each has its word', async () => {
    const { seen, chosen } = await judge({
      bundles: ['1.4.0.raucb', '1.10.0.raucb', '1.2.0.raucb', '1.3.0.raucb'],
    })
    expect(chosen).toMatchObject({ version: '1.10.0', bundle: { path: '1.10.0.raucb' } })
    expect(seen.map(({ refused }) => refused)).toEqual([
      undefined,
      undefined,
      'version 1.2.0 is older than the running 1.3.0; downgrades are never installed',
      'version 1.3.0 is not newer: the device runs 1.3.0',
    ])
  })

  test.each<[string, Partial<JudgeOptions>, RegExp]>([
    [
      'is signed by somebody else',
      {
        readBundleInfo: async () => {
          throw new Error('signature verification failed:\nself-signed')
        },
      },
      /^signature verification failed: self-signed$/,
    ],
    [
      'is for another board',
      { readBundleInfo: async () => ({ compatible: 'atomixos-toaster', version: '9.0.0' }) },
      /^it is for "atomixos-toaster", this is "atomixos-rock64"$/,
    ],
    [
      'has no version',
      { readBundleInfo: async () => ({ compatible: 'atomixos-rock64', version: 'latest' }) },
      /is not a semantic version/,
    ],
    [
      'failed here before',
      { failedVersions: [{ version: '1.4.0', reason: 'no LAN', time: 'then' }] },
      /^version 1\.4\.0 failed here before \(no LAN/,
    ],
    ['waits for the restart already', { waitingVersion: '1.4.0' }, /already installed and waits/],
    ['would replace the way back', { runningSlot: 'pending' }, /not confirmed yet/],
  ])('what %s is refused with that reason', async (_, options, reason) => {
    const { seen, chosen } = await judge({ bundles: ['1.4.0.raucb'] }, options)
    expect(chosen).toBeUndefined()
    expect(seen).toMatchObject([{ refused: expect.stringMatching(reason) }])
  })
})

describe('a feed on a stick', () => {
  const bundle = { path: 'bundles/rock64/b.raucb', sizeBytes: 1000, sha256 }
  const delta = { from: '1.3.0', path: 'deltas/rock64/d.delta', sizeBytes: 10, sha256 }

  test('is taken by its delta; steps, windows and the clock are not asked', async () => {
    const { chosen } = await judge(
      { feed },
      withChannel({
        release: release('1.4.0', { bundle, deltas: [{ ...delta, from: '1.2.0' }, delta] }),
        steps: [{ atMs: nowMs + 1e9, percent: 1 }],
        windows: [{ days: ['mon'], from: '01:00', until: '05:00' }],
        expiresMs: nowMs - 1000,
      }),
    )
    expect(chosen).toEqual({
      ...{ file: `atomixos/${channelFile}`, version: '1.4.0' },
      bundle: { path: 'atomixos/bundles/rock64/b.raucb', facts: bundle },
      delta: { path: 'atomixos/deltas/rock64/d.delta', facts: delta },
    })
  })

  test.each<[string, Partial<JudgeOptions>, RegExp]>([
    [
      'is halted',
      withChannel({ halt: { reason: 'no LAN', sinceMs: nowMs } }),
      /^the channel is halted: no LAN$/,
    ],
    ['is of another board', withChannel({ board: 'other' }), /another board/],
    ['is of another channel', withChannel({ channel: 'beta' }), /follows "stable"/],
    ['has nothing newer', withChannel({ release: release('1.3.0') }), /not newer/],
    [
      'leads nowhere from here',
      withChannel({ release: release('2.0.0', { floor: '1.9.0' }) }),
      /wants at least/,
    ],
    ['is an update in the place of a channel', { readChannelInfo: async () => '{}' }, /no channel file/],
  ])('that %s is refused', async (_, options, reason) => {
    const { seen, chosen } = await judge({ feed }, options)
    expect(chosen).toBeUndefined()
    expect(seen).toMatchObject([{ refused: expect.stringMatching(reason) }])
  })

  test('is preferred to a bundle of the same version', async () => {
    const { chosen } = await judge({ feed, bundles: ['1.4.0.raucb'] }, withChannel({}))
    expect(chosen?.file).toBe(`atomixos/${channelFile}`)
    const newer = await judge({ feed, bundles: ['1.4.1.raucb'] }, withChannel({}))
    expect(newer.chosen?.file).toBe('1.4.1.raucb')
  })
})

describe('the course of it', () => {
  const chosen: ChosenUpdate = {
    ...{ file: 'b.raucb', version: '1.4.0', delta: undefined },
    bundle: { path: 'b.raucb', facts: undefined },
  }
  const facts = { sizeBytes: 10, sha256 }
  const byDelta: ChosenUpdate = { ...chosen, bundle: { path: 'b', facts }, delta: { path: 'd', facts } }

  async function course(doors: Partial<StickDoors>, what: ChosenUpdate | undefined = chosen) {
    const done: string[] = []
    const seen = [{ file: 'b.raucb', version: '1.4.0', refused: what && 'it is old' }]
    const result = await updateFromStick({
      find: async () => ({ bundles: ['b.raucb'], feed: undefined }),
      waitUntilConfirmed: async () => undefined,
      judge: async () => ({ seen, chosen: what }),
      copyBundle: async () => void done.push('copy'),
      rebuild: async () => void done.push('rebuild'),
      async install() {
        done.push('install')
        return { installed: true, slot: 'B' }
      },
      discard: async () => void done.push('discard'),
      say: () => {},
      ...doors,
    }).catch((error: Error) => error)
    return { done, result }
  }

  test('a stick without anything of ours is left alone', async () => {
    const find = async () => ({ bundles: [], feed: undefined })
    expect(await course({ find })).toEqual({ done: [], result: undefined })
  })

  test('what is good is copied, installed, and nothing of it stays', async () => {
    const { done, result } = await course({})
    expect(done).toEqual(['copy', 'install', 'discard'])
    expect(result).toMatchObject({ result: 'installed', version: '1.4.0' })
    expect((await course({}, byDelta)).done).toEqual(['rebuild', 'install', 'discard'])
  })

  test('a delta that is of no use gives way to the bundle', async () => {
    for (const error of [new DeltaError('damaged'), Object.assign(new Error('none'), { code: 'ENOENT' })]) {
      const { done, result } = await course({ rebuild: () => Promise.reject(error) }, byDelta)
      expect(done).toEqual(['copy', 'install', 'discard'])
      expect(result).toMatchObject({ result: 'installed' })
    }
    const mistake = await course({ rebuild: () => Promise.reject(new TypeError('undefined')) }, byDelta)
    expect(mistake.done).toEqual(['discard'])
  })

  test('a stick that is pulled out, or a bundle that is refused in the end, leaves nothing', async () => {
    const gone = await course({ copyBundle: () => Promise.reject(new Error('was it pulled out?')) })
    expect(gone.done).toEqual(['discard'])
    expect(gone.result).toMatchObject({ result: 'failed', reason: 'was it pulled out?' })
    const install = async () => ({ installed: false, reason: 'damaged', touched: false }) as const
    expect((await course({ install })).result).toMatchObject({ result: 'failed', reason: 'damaged' })
  })

  test('a system that has not proved itself is never replaced', async () => {
    const { done, result } = await course({ waitUntilConfirmed: async () => 'it has not proved itself' })
    expect(done).toEqual([])
    expect(result).toMatchObject({ result: 'nothing', reason: 'it has not proved itself' })
  })
})

describe('a copy', () => {
  test('is the same bytes, whole', async () => {
    const bytes = Buffer.alloc(3_000_001, 'content')
    await put('from', bytes)
    await copyFromStick(join(root, 'from'), join(root, 'to/bundle'), { reserveBytes: 0 })
    expect((await readFile(join(root, 'to/bundle'))).equals(bytes)).toBe(true)
  })

  test('that can not be made leaves nothing', async () => {
    await put('from', 'x')
    const to = join(root, 'to/bundle')
    await expect(copyFromStick(join(root, 'from'), to, { reserveBytes: 2 ** 52 })).rejects.toThrow(
      /^not enough space in .*, \d+ MiB are needed$/,
    )
    await expect(copyFromStick(join(root, 'nothing'), to)).rejects.toThrow('ENOENT')
    await truncate(join(root, 'from'), 2 ** 31)
    await expect(copyFromStick(join(root, 'from'), to)).rejects.toThrow('which no update has')
    expect(await readdir(join(root, 'to'))).toEqual([])
  })
})

test('a report is one line for each thing, whatever others have written', () => {
  const slot = {
    triesLeft: 9,
    state: 'confirmed',
    version: '1.3.0',
    since: undefined,
    reason: undefined,
  } as const
  const report: StickReport = {
    ...{ format: 1, time: '2020-01-01T00:00:00.000Z', deviceId: '0a1b2c3d4e5f', runningVersion: '1.3.0' },
    ...{ slot: 'A', result: 'nothing', version: undefined, reason: 'see what was found' },
    seen: [{ file: 'a\n\u001b[2J.raucb', version: undefined, refused: 'signature verification failed' }],
    slots: { A: slot, B: { ...slot, state: undefined, version: undefined } },
    events: [
      { seq: 1, time: '2020-01-01T00:00:00.000Z', bootId: 'x', slot: 'A', event: 'boot', version: '1.3.0' },
    ],
  }
  expect(renderReport(report)).toBe(`Result  nothing was installed: see what was found
Device  0a1b2c3d4e5f, version 1.3.0, slot A
Time    2020-01-01T00:00:00.000Z, by the clock of the device
Found   a [2J.raucb: signature verification failed
Slot A  confirmed, version 1.3.0
Slot B  not confirmed
Event   2020-01-01T00:00:00.000Z boot A 1.3.0
`)
})
