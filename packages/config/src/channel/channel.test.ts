import { describe, expect, test } from 'vitest'
import { type Channel, renderChannel } from './document.ts'
import { judgeChannel } from './judge.ts'
import { boardOfCompatible, channelCompatible, channelLimits, channelPath, isPlainName } from './names.ts'
import { parseChannel } from './parse-document.ts'
import { channelOf, dayMs, documentValue, nowMs, raucInfoOf, release } from './test-channels.ts'

const full: Channel = channelOf({
  release: release('2.0.0', {
    floor: '1.4.0',
    deltas: [{ from: '1.9.0', path: 'deltas/x.zst', sizeBytes: 10, sha256: 'cd'.repeat(32) }],
  }),
  stones: [release('1.5.0')],
  steps: [
    { atMs: nowMs, percent: 0.5 },
    { atMs: nowMs + dayMs, percent: 100 },
  ],
  windows: [{ days: ['mon', 'sun'], from: '22:30', until: '02:00' }],
  canaries: ['lab'],
  halt: { reason: 'devices lose their LAN', sinceMs: nowMs },
})

test('a document that was written is read back, and says the same in the same bytes', () => {
  for (const channel of [channelOf(), full]) {
    expect(parseChannel(renderChannel(channel))).toEqual({ channel })
    expect(renderChannel(structuredClone(channel))).toBe(renderChannel(channel))
  }
})

test('members that are not known are left alone', () => {
  const value = { ...documentValue(), later: { x: 1 } }
  expect(parseChannel(JSON.stringify(value))).toEqual({ channel: channelOf() })
})

test('lists that are not there are empty', () => {
  const { stones: _, windows: __, canaries: ___, ...value } = documentValue()
  expect(parseChannel(JSON.stringify(value))).toEqual({ channel: channelOf() })
})

describe('a document is refused', () => {
  const change = (path: string, to: unknown): string => {
    const value = documentValue(full)
    const names = path.split('.')
    let inner = value as Record<string, unknown>
    for (const name of names.slice(0, -1)) inner = inner[name] as Record<string, unknown>
    inner[names.at(-1)!] = to
    return JSON.stringify(value)
  }
  test.each<[string, unknown, string]>([
    ['board', 'Rock 64', 'board is no name of lower-case letters, digits and hyphens'],
    ['channel', '../x', 'channel is no name of lower-case letters, digits and hyphens'],
    ['sequence', 0, 'sequence is no whole number from 1'],
    ['sequence', 2 ** 53, 'sequence is no whole number from 1'],
    ['sequence', '7', 'sequence is no whole number from 1'],
    ['expires', '2026-12-01', 'expires is no time such as 2026-12-01T02:00:00Z'],
    ['expires', '2026-02-30T02:00:00Z', 'expires is no time such as 2026-12-01T02:00:00Z'],
    ['expires', '2020-01-01T00:00:00Z', 'expires is not after published'],
    ['release', null, 'release is no object'],
    ['release.version', 'v2.0.0', 'release.version is not a semantic version such as 1.4.2'],
    ['release.floor', '2.0.0', 'release.floor is not older than its version'],
    ['release.bundle.path', '/etc/passwd', 'release.bundle.path is no plain path below the feed'],
    ['release.bundle.path', 'a/../../b', 'release.bundle.path is no plain path below the feed'],
    ['release.bundle.path', 'https://other.example/b', 'release.bundle.path is no plain path below the feed'],
    ['release.bundle.path', 'b?x=1', 'release.bundle.path is no plain path below the feed'],
    ['release.bundle.path', '', 'release.bundle.path is no plain path below the feed'],
    ['release.bundle.size', 2 ** 31, 'release.bundle.size is no whole number from 1 to 1073741824'],
    ['release.bundle.sha256', 'AB'.repeat(32), 'release.bundle.sha256 is not 64 hexadecimal digits'],
    ['release.deltas', 'many', 'release.deltas is no list of at most 32'],
    ['release.deltas.0.from', 1, 'release.deltas[0].from is not a semantic version such as 1.4.2'],
    ['stones.0.version', '2.0.0', 'stones[0].version is not older than the release'],
    ['stones', Array(9).fill({}), 'stones is no list of at most 8'],
    ['steps.0.percent', 101, 'steps[0].percent is not a number from 0 to 100'],
    ['steps.0.percent', null, 'steps[0].percent is not a number from 0 to 100'],
    ['steps.1.percent', 0.1, 'steps[1].percent is less than before'],
    ['steps.1.at', '2026-12-01T12:00:00Z', 'steps[1].at is not after the step before it'],
    ['windows.0.days', [], 'windows[0].days is empty'],
    ['windows.0.days.0', 'monday', 'windows[0].days[0] is none of mon, tue, wed, thu, fri, sat, sun'],
    ['windows.0.from', '24:00', 'windows[0].from is no time such as 02:00'],
    ['windows.0.until', '23:59', 'windows[0] is shorter than 90 minutes'],
    ['canaries.0', 'Lab!', 'canaries[0] is no name of lower-case letters, digits and hyphens'],
    ['halt', true, 'halt is no object'],
    ['halt.reason', 'a\nb', 'halt.reason is no line of 1 to 200 characters'],
    ['halt.reason', '\u001b[2J', 'halt.reason is no line of 1 to 200 characters'],
  ])('with %s %j', (path, to, problem) => {
    const parsed = parseChannel(change(path, to))
    expect(parsed).toMatchObject({ kind: 'content' })
    expect((parsed as { problems: readonly string[] }).problems).toContain(problem)
  })

  test.each([
    [2, '2'],
    [undefined, 'missing or no number'],
    ['1', 'missing or no number'],
  ])('of the schema %j', (schema, shown) => {
    expect(parseChannel(change('schema', schema))).toEqual({
      kind: 'schema',
      problems: [`its schema is ${shown}; this system knows 1`],
    })
  })

  test('that is something else', () => {
    for (const text of ['', 'null', '[]', '7', '"x"', '{', '\0']) {
      expect(parseChannel(text), text).toHaveProperty('problems')
    }
    const long = JSON.stringify({ ...documentValue(), more: 'x'.repeat(channelLimits.documentBytesMax) })
    expect(parseChannel(long)).toMatchObject({ problems: ['the document is longer than 32 KiB'] })
  })

  test('whose members are only inherited', () => {
    const text = JSON.stringify(documentValue()).replace('"release":', '"__proto__":')
    expect(parseChannel(text)).toMatchObject({ kind: 'content' })
  })
})

describe('a signed file is', () => {
  const expected = { board: 'rock64', channel: 'stable', nowMs }
  const judge = (channel: Channel, more: Partial<Parameters<typeof judgeChannel>[1]> = {}) =>
    judgeChannel(raucInfoOf(renderChannel(channel)), { ...expected, ...more })
  const identity = (channel: Channel) => (judge(channel) as { identity: string }).identity

  test('followed, with its identity', () => {
    expect(judge(full)).toEqual({ channel: full, identity: expect.stringMatching(/^[0-9a-f]{64}$/) })
  })

  test('not followed for another board, whichever of its two words says so', () => {
    expect(judge(channelOf({ board: 'toaster' }))).toEqual({
      kind: 'board',
      reason: 'it is for the board "toaster", this is "rock64"',
    })
    expect(judgeChannel(raucInfoOf(renderChannel(full), channelCompatible('toaster')), expected)).toEqual({
      kind: 'board',
      reason: 'it is for the board "toaster", this is "rock64"',
    })
  })

  test('not followed as another channel', () => {
    expect(judge(channelOf({ channel: 'beta' }))).toEqual({
      kind: 'channel',
      reason: 'it is the channel "beta", asked for was "stable"',
    })
  })

  test('not followed from the second on at which it expires', () => {
    const { expiresMs } = full
    expect(judge(full, { nowMs: expiresMs - 1000 })).toHaveProperty('channel')
    expect(judge(full, { nowMs: expiresMs })).toEqual({
      kind: 'expired',
      reason: 'it expired at 2026-12-31T12:00:00Z, and the clock says 2026-12-31T12:00:00Z',
    })
  })

  test('not followed when a newer one was here; the same one is, with the same contents only', () => {
    const seen = { sequence: 7, identity: identity(full) }
    expect(judge(full, { seen })).toHaveProperty('channel')
    expect(judge({ ...full, sequence: 8 }, { seen })).toHaveProperty('channel')
    expect(judge({ ...full, sequence: 6 }, { seen })).toEqual({
      kind: 'replay',
      reason: 'its number is 6, and number 7 was here before: an old file again',
    })
    expect(judge({ ...full, halt: undefined }, { seen })).toEqual({
      kind: 'replay',
      reason: 'its number 7 was here before with other contents',
    })
  })

  test.each<[string, string]>([
    ['an update', raucInfoOf(renderChannel(full), 'atomixos-rock64')],
    ['of another maker', raucInfoOf(renderChannel(full), 'x')],
    ['without a document', JSON.stringify({ update: { compatible: channelCompatible('rock64') } })],
    [
      'with a document of other letters',
      JSON.stringify({
        update: { compatible: channelCompatible('rock64') },
        meta: { atomixos: { channel: 'e30=\n' } },
      }),
    ],
    [
      'with bytes that are no text',
      JSON.stringify({
        update: { compatible: channelCompatible('rock64') },
        meta: { atomixos: { channel: Buffer.from([0xff, 0xfe]).toString('base64url') } },
      }),
    ],
    ['of a RAUC that speaks otherwise', 'Compatible: x'],
    ['nothing', 'null'],
  ])('no channel: %s', (_, info) => {
    expect(judgeChannel(info, expected)).toEqual({
      kind: 'no-channel',
      reason: 'it is signed, and no channel file',
    })
  })
})

test('names are plain, and channel files cannot pass for updates', () => {
  expect(['stable', 'a-1'].every(isPlainName)).toBe(true)
  expect(['', '-a', 'A', 'a/b', '..', 'a'.repeat(33)].some(isPlainName)).toBe(false)
  expect(channelPath('rock64', 'stable')).toBe('channels/rock64/stable.channel')
  expect(channelCompatible('rock64')).toBe('atomixos-channel-rock64')
  expect(boardOfCompatible('atomixos-rock64')).toBe('rock64')
  expect(boardOfCompatible('other')).toBeUndefined()
  expect(boardOfCompatible(channelCompatible('rock64'))).toBeUndefined()
})
