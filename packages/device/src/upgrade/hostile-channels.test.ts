/**
 * Thousands of documents that mean no good, always the same ones: as if somebody had the key to sign them, and as they
 * come. None throws anything but the refusal that is declared, and none leads to what a good document could not.
 */
import {
  type Channel,
  channelLimits,
  compareVersionTexts,
  isOpen,
  isVersionText,
  judgeChannel,
  parseChannel,
  renderChannel,
} from '@atomixos/config'
import {
  channelOf,
  dayMs,
  documentValue,
  nowMs,
  raucInfoOf,
  release,
  seeded,
} from '@atomixos/config/channel/test-channels.ts'
import compareVersions from 'semver/functions/compare.js'
import parseVersion from 'semver/functions/parse.js'
import { describe, expect, test } from 'vitest'
import { decideByChannel } from './decide-by-channel.ts'
import { poll } from './poll.ts'
import { UpdateServerError } from './server-error.ts'

const kinds = ['no-channel', 'schema', 'content', 'board', 'channel', 'expired', 'replay']
const base = channelOf({
  sequence: 9,
  release: release('2.0.0', {
    floor: '1.0.0',
    deltas: [{ from: '1.0.0', path: 'd', sizeBytes: 5, sha256: '12'.repeat(32) }],
  }),
  stones: [release('1.1.0')],
  steps: [
    { atMs: nowMs - dayMs, percent: 50 },
    { atMs: nowMs + dayMs, percent: 100 },
  ],
  windows: [{ days: ['tue'], from: '10:00', until: '14:00' }],
  canaries: ['lab'],
})
const expected = { board: 'rock64', channel: 'stable', nowMs, seen: { sequence: 8, identity: 'x' } }
const serverUrl = 'https://updates.example/feed'

/** A whole poll of a device that runs 1.0.0 and reads this; gives what it would install. */
async function pollWith(raucInfo: string): Promise<{ installed: string[]; channel: Channel | undefined }> {
  const installed: string[] = []
  let followed: Channel | undefined
  const exitCode = await poll({
    async look() {
      const judged = judgeChannel(raucInfo, expected)
      if ('kind' in judged) {
        expect(kinds).toContain(judged.kind)
        expect(judged.reason.length).toBeGreaterThan(5)
        throw new UpdateServerError('channel', judged.reason, { url: serverUrl, code: judged.kind })
      }
      followed = judged.channel
      const { answer, verdict } = decideByChannel({
        ...{ channel: judged.channel, serverUrl, nowMs, device: { id: '0a1b2c3d4e5f', labels: ['lab'] } },
        ...{ runningVersion: '1.0.0', runningSlot: 'confirmed', failedVersions: [] },
      })
      const facts = { sequence: judged.channel.sequence, percent: 0, halted: undefined }
      return { channel: { name: 'x', published: '', expires: '', ...facts }, answer, decision: verdict }
    },
    note: async () => {},
    say: () => {},
    isHere: async () => false,
    fetch: async () => 'x',
    discard: async () => {},
    async install({ version, bundleUrl, file }) {
      installed.push(`${version} ${bundleUrl} ${file!.sizeBytes} ${file!.sha256}`)
      return 0
    },
    nowMs: () => nowMs,
  })
  expect(exitCode).toBe(0)
  return { installed, channel: followed }
}

/** Whatever is followed is proper; whatever is installed is newer, from this server, and of a size that is taken. */
async function requireHarmless(raucInfo: string): Promise<'refused' | 'followed' | 'installed'> {
  const { installed, channel } = await pollWith(raucInfo)
  if (channel === undefined) {
    expect(installed).toEqual([])
    return 'refused'
  }
  expect(parseChannel(renderChannel(channel))).toEqual({ channel })
  expect(channel).toMatchObject({ board: 'rock64', channel: 'stable' })
  expect(channel.sequence).toBeGreaterThanOrEqual(9)
  expect(channel.expiresMs).toBeGreaterThan(nowMs)
  if (installed.length === 0) return 'followed'
  expect(channel.halt).toBeUndefined()
  const [version, url, size, sha256] = installed[0]!.split(' ')
  expect(compareVersionTexts(version!, '1.0.0')).toBeGreaterThan(0)
  expect(new URL(url!).href).toBe(url)
  expect(url!.startsWith(`${serverUrl}/`)).toBe(true)
  expect(new URL(url!).search).toBe('')
  expect(Number(size)).toBeLessThanOrEqual(channelLimits.bundleBytesMax)
  expect(sha256).toMatch(/^[0-9a-f]{64}$/)
  expect(channel.canaries.includes('lab') || isOpen(channel.windows, nowMs)).toBe(true)
  return 'installed'
}

const strange: readonly unknown[] = [
  ...[
    undefined,
    null,
    true,
    false,
    0,
    -1,
    1,
    0.5,
    2 ** 53,
    Number.MAX_VALUE,
    Number.NaN,
    '',
    ' ',
    '\0',
    '../..',
    '/',
  ],
  ...['//evil.example/b', 'https://evil.example/b', 'b\\..\\c', 'a%2f..%2f', '%00', 'b#x', 'x'.repeat(5000)],
  ...['1.0.0', '9.9.9', '99999999999999999999.0.0', '1.0.0-', '2.0.0-rc.1', '0.0.1', 'latest'],
  ...['2026-12-01T12:00:00Z', '9999-12-31T23:59:59Z', '2026-12-01t12:00:00Z', '1970-01-01T00:00:00Z'],
  ...['00:00', '23:59', '24:00', 'tue', 'toaster', 'beta', '\u202e', '\u001b[31m', '💥', '\ud800'],
  ...[[], {}, [[]], [null], [{}], [1, 2, 3], { length: 3 }, { toString: 'x' }, { __proto__: { a: 1 } }],
  ...[{ valueOf: 1 }, Array(100).fill('lab'), Array(100).fill({ at: '2026-12-01T12:00:00Z', percent: 100 })],
]

/** Every place in a value that something can be put into. */
function places(value: unknown): { parent: Record<string, unknown>; name: string }[] {
  if (typeof value !== 'object' || value === null) return []
  const parent = value as Record<string, unknown>
  return Object.keys(parent).flatMap((name) => [{ parent, name }, ...places(parent[name])])
}

describe('a document', () => {
  test('with one member replaced by anything strange, everywhere', async () => {
    const counts = { refused: 0, followed: 0, installed: 0 }
    const count = places(documentValue(base)).length
    expect(count).toBeGreaterThan(40)
    for (let place = 0; place < count; place++) {
      for (const value of strange) {
        const document = documentValue(base)
        const { parent, name } = places(document)[place]!
        if (value === undefined) delete parent[name]
        else parent[name] = structuredClone(value)
        counts[await requireHarmless(raucInfoOf(JSON.stringify(document)))] += 1
      }
    }
    expect(counts.refused).toBeGreaterThan(1500)
    // What is strange in one place is proper in another: a version, a time, an empty list.
    expect(counts.installed).toBeGreaterThan(50)
  })

  test('with several members exchanged, dropped and invented', async () => {
    const random = seeded(4711)
    const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!
    const counts = { refused: 0, followed: 0, installed: 0 }
    for (let n = 0; n < 3000; n++) {
      const document = documentValue(base)
      for (let changes = 1 + Math.floor(random() * 4); changes > 0; changes--) {
        const found = places(document)
        if (found.length === 0) break
        const [one, other] = [pick(found), pick(found)]
        const kind = random()
        if (kind < 0.3) one.parent[one.name] = structuredClone(pick(strange))
        else if (kind < 0.5) delete one.parent[one.name]
        else if (kind < 0.8) one.parent[one.name] = structuredClone(other.parent[other.name])
        else
          one.parent[pick(['x', '__proto__', 'constructor', 'schema', 'halt', 'floor'])] = structuredClone(
            pick(strange),
          )
      }
      counts[await requireHarmless(raucInfoOf(JSON.stringify(document) ?? ''))] += 1
    }
    expect(counts.refused).toBeGreaterThan(1000)
  })

  test('cut, doubled, and with bits turned over', async () => {
    const random = seeded(99)
    const good = Buffer.from(renderChannel(base))
    const counts = { refused: 0, followed: 0, installed: 0 }
    for (let n = 0; n < 3000; n++) {
      const bytes = Buffer.from(good)
      const at = Math.floor(random() * bytes.length)
      const kind = n % 3
      if (kind === 0) bytes[at] = bytes[at]! ^ (1 << Math.floor(random() * 8))
      const spoiled =
        kind === 0 ? bytes : kind === 1 ? bytes.subarray(0, at) : Buffer.concat([bytes.subarray(at), bytes])
      const info = JSON.parse(raucInfoOf('')) as { meta: { atomixos: { channel: string } } }
      info.meta.atomixos.channel = spoiled.toString('base64url')
      counts[await requireHarmless(JSON.stringify(info))] += 1
    }
    expect(counts.refused).toBeGreaterThan(2000)
  })

  test('that is deep, wide or endless', async () => {
    const texts = [
      '['.repeat(30_000),
      `${'['.repeat(15_000)}${']'.repeat(15_000)}`,
      `${'{"release":'.repeat(2000)}1${'}'.repeat(2000)}`,
      `{"schema":1,${'"a":1,'.repeat(4000)}"b":2}`,
      `{"schema":1e0,"sequence":${'9'.repeat(10_000)}}`,
      'x'.repeat(200_000),
    ]
    for (const text of texts) expect(await requireHarmless(raucInfoOf(text))).toBe('refused')
  })
})

test('what RAUC prints, replaced by anything', async () => {
  const random = seeded(7)
  const good = JSON.parse(raucInfoOf(renderChannel(base))) as Record<string, unknown>
  for (let n = 0; n < 1000; n++) {
    const info = structuredClone(good)
    const found = places(info)
    const { parent, name } = found[Math.floor(random() * found.length)]!
    parent[name] = structuredClone(strange[Math.floor(random() * strange.length)])
    await requireHarmless(JSON.stringify(info))
  }
  for (const text of ['', '{', 'null', '[]', '"x"', '{"meta":null}', '{"update":7}']) {
    expect(await requireHarmless(text)).toBe('refused')
  }
})

test('the good one is installed: what is refused here is refused for a reason', async () => {
  expect(await requireHarmless(raucInfoOf(renderChannel(base)))).toBe('installed')
})

test('our order of versions is that of the library that decides about installing', () => {
  const random = seeded(31337)
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!
  const part = () => pick(['0', '1', '2', '10', '11', '01', '', 'a'])
  const word = () => pick(['0', '1', '11', '01', 'a', 'alpha', 'rc', '-', 'a-1', '', 'A', '1a'])
  const version = () => {
    const tail = random() < 0.5 ? '' : `-${word()}${random() < 0.5 ? '' : `.${word()}`}`
    return `${part()}.${part()}.${part()}${tail}${random() < 0.1 ? `+${word()}` : ''}`
  }
  let proper = 0
  for (let n = 0; n < 60_000; n++) {
    const [a, b] = [version(), version()]
    expect(isVersionText(a), a).toBe(/^\d/.test(a) && parseVersion(a) !== null)
    if (!isVersionText(a) || !isVersionText(b)) continue
    proper += 1
    expect(Math.sign(compareVersionTexts(a, b)), `${a} and ${b}`).toBe(compareVersions(a, b))
  }
  expect(proper).toBeGreaterThan(500)
})
