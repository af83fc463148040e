import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DeltaError } from '@atomixos/config'
import { channelOf, nowMs, release } from '@atomixos/config/channel/test-channels.ts'
import { describe, expect, test } from 'vitest'
import { decideByChannel } from './decide-by-channel.ts'
import { noteVainRound, readVainRounds } from './delta-refused.ts'
import { type FetchDoors, fetchBundle } from './fetch-bundle.ts'
import type { Answer } from './parse-answer.ts'
import { type ServerErrorKind, UpdateServerError } from './server-error.ts'
import { scratch } from './test-server.ts'

const sha256 = 'cd'.repeat(32)
const delta = { url: 'https://x.example/d', from: '1.3.0', sizeBytes: 2_500_000, sha256 }
const answer: Answer = {
  ...{ version: '1.4.0', bundleUrl: 'https://x.example/b' },
  file: { sizeBytes: 113_700_000, sha256: 'ab'.repeat(32) },
  delta,
}
const wholly = 'the full bundle, 113.7 MB: '

async function fetched(options: {
  readonly answer?: Answer
  readonly fetchError?: Error
  readonly rebuildError?: Error
  readonly refusedBefore?: string
  readonly partBytes?: number
  readonly vainRounds?: number
  /** Of the delta, before and after this round. */
  readonly deltaPartBytes?: readonly [number, number]
}) {
  const done: string[] = []
  const deltaParts = [...(options.deltaPartBytes ?? [0, 0])]
  const doors: FetchDoors = {
    async fetchDelta() {
      done.push('delta')
      if (options.fetchError) throw options.fetchError
    },
    async rebuild() {
      done.push('rebuild')
      if (options.rebuildError) throw options.rebuildError
    },
    fetchWhole: async () => void done.push('whole'),
    partBytes: async () => options.partBytes ?? 0,
    refusedBefore: async () => options.refusedBefore,
    vainRounds: async () => options.vainRounds ?? 0,
    noteRound: async (_, vain) => void done.push(vain ? 'vain' : 'something came'),
    deltaPartBytes: async () => deltaParts.shift() ?? 0,
    refuse: async (_, reason) => void done.push(`refuse: ${reason}`),
    say: () => {},
  }
  const transfer = await fetchBundle(options.answer ?? answer, doors).catch((error: Error) => error)
  return { done, transfer }
}

const server = (kind: ServerErrorKind) => new UpdateServerError(kind, `it is ${kind}`, { url: 'x' })

describe('a bundle', () => {
  test('comes by its delta', async () => {
    expect(await fetched({})).toEqual({
      done: ['delta', 'rebuild'],
      transfer: 'delta from 1.3.0, 2.5 MB instead of 113.7 MB',
    })
  })

  test('comes whole when there is no delta, or nothing is known of it', async () => {
    const { delta: _, ...without } = answer
    expect(await fetched({ answer: without })).toEqual({
      done: ['whole'],
      transfer: `${wholly}there is no delta from what runs here`,
    })
    const { file: __, ...unsigned } = without
    expect(await fetched({ answer: unsigned })).toMatchObject({ done: ['whole'] })
  })

  test('comes whole when less of it is missing than the delta has', async () => {
    expect(await fetched({ partBytes: 112_000_000 })).toMatchObject({ done: ['whole'] })
    expect(await fetched({ partBytes: 100_000_000 })).toMatchObject({ done: ['delta', 'rebuild'] })
  })

  test.each<[string, Parameters<typeof fetched>[0]]>([
    ['is not what the channel names', { fetchError: new DeltaError('it is another one') }],
    ['does not lead to the bundle', { rebuildError: new DeltaError('it is another one') }],
  ])('comes whole when the delta %s, and the delta is not tried again', async (_, options) => {
    const { done, transfer } = await fetched(options)
    expect(done.filter((what) => what !== 'rebuild')).toEqual(['delta', 'refuse: it is another one', 'whole'])
    expect(transfer).toBe(`${wholly}the delta from 1.3.0 was of no use: it is another one`)
    expect(await fetched({ refusedBefore: 'it is another one' })).toEqual({ done: ['whole'], transfer })
  })

  test.each<[string, Parameters<typeof fetched>[0]]>([
    ['is not on the server', { fetchError: server('status') }],
    ['is longer than announced', { fetchError: server('too-large') }],
    ['leads elsewhere', { fetchError: server('redirect') }],
    ['has no space', { fetchError: server('disk') }],
    ['finds no space', { rebuildError: Object.assign(new Error('no space'), { code: 'ENOSPC' }) }],
    ['finds a partition that breaks', { rebuildError: Object.assign(new Error('broken'), { code: 'EIO' }) }],
  ])('comes whole when the delta %s, which may be otherwise another time', async (_, options) => {
    const { done } = await fetched(options)
    expect(done.filter((what) => what !== 'rebuild')).toEqual(['delta', 'whole'])
  })

  const away: readonly ServerErrorKind[] = ['network', 'timeout', 'tls']

  test.each(away)('waits for the next round when the server is away: %s', async (kind) => {
    const transfer = server(kind)
    const fetchError = transfer
    expect(await fetched({ fetchError })).toEqual({ done: ['delta', 'vain'], transfer })
    expect(await fetched({ fetchError, vainRounds: 1 })).toEqual({ done: ['delta', 'vain'], transfer })
  })

  test.each(away)('comes whole when nothing of the delta came three times in a row: %s', async (kind) => {
    const transfer = `${wholly}nothing of the delta from 1.3.0 came in 3 rounds`
    expect(await fetched({ fetchError: server(kind), vainRounds: 2 })).toEqual({
      done: ['delta', 'vain', 'whole'],
      transfer,
    })
    // And from then on at once.
    expect(await fetched({ fetchError: server(kind), vainRounds: 3 })).toEqual({ done: ['whole'], transfer })
  })

  test('waits for a delta that comes piece by piece, however many rounds that takes', async () => {
    const transfer = server('network')
    expect(await fetched({ fetchError: transfer, vainRounds: 2, deltaPartBytes: [1000, 1001] })).toEqual({
      done: ['delta', 'something came'],
      transfer,
    })
  })

  test('is left where it is when the system stops, which is nothing against the delta', async () => {
    const transfer = server('stopped')
    expect(await fetched({ fetchError: transfer, vainRounds: 2 })).toEqual({ done: ['delta'], transfer })
  })

  test('a mistake of ours is not covered up', async () => {
    const mistake = new TypeError('undefined is no function')
    expect(await fetched({ rebuildError: mistake })).toEqual({
      done: ['delta', 'rebuild'],
      transfer: mistake,
    })
  })
})

test('rounds in vain are counted for one delta, and begin anew when something comes', async () => {
  await using dir = await scratch()
  const path = join(dir.path, 'rounds.json')
  expect(await readVainRounds(path, delta)).toBe(0)
  await noteVainRound(path, delta, true)
  await noteVainRound(path, delta, true)
  expect(await readVainRounds(path, delta)).toBe(2)
  expect(await readVainRounds(path, { ...delta, sha256: 'ef'.repeat(32) })).toBe(0)
  await noteVainRound(path, delta, false)
  expect(await readVainRounds(path, delta)).toBe(0)
  await writeFile(path, '{"sha256":')
  expect(await readVainRounds(path, delta)).toBe(0)
})

test('of the deltas of a channel, the smallest from what runs is taken', () => {
  const file = (from: string, sizeBytes: number) => ({ from, path: `d/${from}`, sizeBytes, sha256 })
  const deltaFor = (runningVersion: string) =>
    decideByChannel({
      channel: channelOf({
        release: release('1.4.0', {
          deltas: [file('1.3.0', 500), file('1.3.0', 300), file('1.2.0', 400), file('1.1.0', 1000)],
        }),
      }),
      ...{ serverUrl: 'https://x.example/feed/', nowMs, device: { id: '0a1b2c3d4e5f', labels: [] } },
      ...{ runningVersion, runningSlot: 'confirmed', failedVersions: [] },
    }).answer!.delta
  expect(deltaFor('1.3.0')).toEqual({
    ...{ url: 'https://x.example/feed/d/1.3.0', from: '1.3.0', sizeBytes: 300, sha256 },
  })
  expect(deltaFor('1.2.0')).toMatchObject({ sizeBytes: 400 })
  // As large as the bundle.
  expect(deltaFor('1.1.0')).toBeUndefined()
  expect(deltaFor('1.0.0')).toBeUndefined()
})
