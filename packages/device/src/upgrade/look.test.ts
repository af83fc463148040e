import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Channel, renderChannel } from '@atomixos/config'
import { channelOf, dayMs, nowMs, raucInfoOf, release } from '@atomixos/config/channel/test-channels.ts'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { bundleFileProblem, bundleIsHere } from './bundle-file.ts'
import { parseChannelRecords } from './channel-records.ts'
import { type LookOptions, look } from './look.ts'
import { failure, type Scratch, scratch, startServer, type TestServer } from './test-server.ts'

/** RAUC is played by a function here: a file is "signed" when it is what RAUC would print. The real one: feed.test.ts. */
const unsigned = 'unsigned'

let dir: Scratch
let recordsPath: string
beforeEach(async () => {
  dir = await scratch()
  recordsPath = join(dir.path, 'channels.json')
})
afterEach(() => dir[Symbol.asyncDispose]())

/** What the server has; a path that is not there is answered with 404. */
let files: Record<string, string | number>
let requests: string[]

async function serve(): Promise<TestServer> {
  requests = []
  return startServer((request, response) => {
    requests.push(request.url!)
    const found = files[request.url!] ?? 404
    if (typeof found === 'number') response.writeHead(found).end('not here')
    else response.end(found)
  })
}

const stable = '/channels/rock64/stable.channel'
const latest = '/api/v1/updates/latest'
const answer = JSON.stringify({ version: '1.9.0', bundle_url: 'b.raucb' })
const signed = (channel: Channel) => raucInfoOf(renderChannel(channel))

function lookAt(server: TestServer, options: Partial<LookOptions> = {}) {
  return look({
    ...{ serverUrl: server.address, board: 'rock64', channel: 'stable', labels: [], nowMs },
    ...{ deviceId: '0a1b2c3d4e5f', runningVersion: '1.0.0', runningSlot: 'confirmed', failedVersions: [] },
    authorities: dir.authorities,
    timeoutMs: 5000,
    channelRecordsPath: recordsPath,
    remember: true,
    readInfo: async (path) => {
      const text = await readFile(path, 'utf8')
      if (text.startsWith(unsigned)) throw new Error('signature verification failed')
      return text
    },
    scratchFolder: dir.path,
    ...options,
  })
}

describe('a server without a channel', () => {
  test('is asked as ever', async () => {
    files = { [latest]: answer }
    await using server = await serve()
    expect(await lookAt(server)).toEqual({
      channel: undefined,
      answer: { version: '1.9.0', bundleUrl: `${server.address}/b.raucb` },
      decision: { action: 'install' },
    })
    expect(requests).toEqual([stable, latest])
    expect(parseChannelRecords(await readFile(recordsPath, 'utf8').catch(() => undefined))).toEqual([])
  })

  test.each([403, 500, 301])('is one that says 404, not %i', async (status) => {
    files = { [latest]: answer, [stable]: status }
    await using server = await serve()
    expect(await failure(lookAt(server))).toMatchObject({ name: 'UpdateServerError' })
    expect(requests).toEqual([stable])
  })
})

describe('a channel', () => {
  test('is followed, and nobody else is asked', async () => {
    files = { [latest]: answer, [stable]: signed(channelOf()) }
    await using server = await serve()
    expect(await lookAt(server)).toEqual({
      channel: {
        ...{ name: 'stable', sequence: 7, percent: 100, halted: undefined },
        published: '2026-11-30T12:00:00Z',
        expires: '2026-12-31T12:00:00Z',
      },
      answer: {
        version: '1.4.0',
        bundleUrl: `${server.address}/bundles/1.4.0.raucb`,
        file: { sizeBytes: 1000, sha256: 'ab'.repeat(32) },
      },
      decision: {
        action: 'install',
        reason: "the roll-out of version 1.4.0 is at 100 %, this device's place is 83.79 %",
      },
    })
    expect(requests).toEqual([stable])
  })

  test('may lie in a folder of the server, and so do its bundles', async () => {
    files = { [`/feed${stable}`]: signed(channelOf()) }
    await using server = await serve()
    const seen = await lookAt(server, { serverUrl: `${server.address}/feed/` })
    expect(seen.answer!.bundleUrl).toBe(`${server.address}/feed/bundles/1.4.0.raucb`)
  })

  test('is another one when the settings say so', async () => {
    files = { '/channels/rock64/beta.channel': signed(channelOf({ channel: 'beta' })) }
    await using server = await serve()
    expect(await lookAt(server, { channel: 'beta' })).toMatchObject({ channel: { name: 'beta' } })
  })

  test('says nothing that what is known of the device does not outweigh', async () => {
    files = { [stable]: signed(channelOf()) }
    await using server = await serve()
    const reason = async (options: Partial<LookOptions>) => {
      const { decision } = await lookAt(server, options)
      return decision.action === 'none' ? decision.reason : decision.action
    }
    expect(await reason({ runningVersion: '1.4.0' })).toBe(
      'version 1.4.0 is not newer: the device runs 1.4.0',
    )
    expect(await reason({ runningVersion: '1.5.0' })).toContain('downgrades are never installed')
    expect(await reason({ waitingVersion: '1.4.0' })).toContain('waits for the reboot')
    const failedVersions = [{ version: '1.4.0', reason: 'no LAN', time: '2026-11-01T00:00:00Z' }]
    expect(await reason({ failedVersions })).toContain('failed here before (no LAN')
  })

  test('that wants a version on the way has nothing for those before it', async () => {
    files = { [stable]: signed(channelOf({ release: release('2.0.0', { floor: '1.5.0' }) })) }
    await using server = await serve()
    expect(await lookAt(server)).toMatchObject({
      answer: undefined,
      decision: { action: 'none', reason: expect.stringContaining('wants at least 1.5.0') },
    })
  })
})

describe('a channel file that has not changed', () => {
  /** As a server that knows conditional requests; counts what it sent of bodies. */
  async function conditional(file: () => { body: string; etag: string }) {
    const counted = { fullAnswers: 0, sameAnswers: 0 }
    const server = await startServer((request, response) => {
      const { body, etag } = file()
      if (request.url !== stable) return void response.writeHead(404).end()
      const same = request.headers['if-none-match'] === etag
      counted[same ? 'sameAnswers' : 'fullAnswers'] += 1
      response.writeHead(same ? 304 : 200, { etag })
      response.end(same ? undefined : body)
    })
    return { server, counted }
  }

  test('is not fetched again, and verified and judged as if it were', async () => {
    const { server, counted } = await conditional(() => ({ body: signed(channelOf()), etag: '"one"' }))
    await using _ = server
    const first = await lookAt(server)
    let verified = 0
    const second = await lookAt(server, {
      readInfo: async (path) => {
        verified += 1
        return readFile(path, 'utf8')
      },
    })
    expect(second).toEqual(first)
    expect({ ...counted, verified }).toEqual({ fullAnswers: 1, sameAnswers: 1, verified: 1 })
    expect(await failure(lookAt(server, { nowMs: nowMs + 31 * dayMs }))).toMatchObject({ code: 'expired' })
    const revoked = async () => {
      throw new Error('certificate revoked')
    }
    expect(await failure(lookAt(server, { readInfo: revoked }))).toMatchObject({ code: 'signature' })
  })

  test('is fetched when it has changed, and what is refused is not kept', async () => {
    let now = { body: signed(channelOf()), etag: '"one"' }
    const { server, counted } = await conditional(() => now)
    await using _ = server
    await lookAt(server)
    now = { body: signed(channelOf({ sequence: 6 })), etag: '"replayed"' }
    expect(await failure(lookAt(server))).toMatchObject({ code: 'replay' })
    expect(await failure(lookAt(server))).toMatchObject({ code: 'replay' })
    now = { body: signed(channelOf({ sequence: 8 })), etag: 'W/"three"' }
    expect(await lookAt(server)).toMatchObject({ channel: { sequence: 8 } })
    expect(await lookAt(server)).toMatchObject({ channel: { sequence: 8 } })
    expect(counted).toEqual({ fullAnswers: 4, sameAnswers: 1 })
  })

  test('that nobody has asked about is no answer', async () => {
    await using server = await startServer((_, response) => response.writeHead(304).end())
    expect(await failure(lookAt(server))).toMatchObject({ kind: 'status' })
  })

  test('is fetched when what was kept is damaged', async () => {
    const { server, counted } = await conditional(() => ({ body: signed(channelOf()), etag: '"one"' }))
    await using _ = server
    await lookAt(server)
    await writeFile(join(dir.path, 'channel-cache.json'), '{ torn')
    await lookAt(server)
    expect(counted.fullAnswers).toBe(2)
  })
})

describe('is refused with its reason, and changes nothing:', () => {
  test.each<[string, string, string, string]>([
    ['what nobody signed', `${unsigned}`, 'signature', 'signature verification failed'],
    ['a web page', '<html>', 'no-channel', 'it is signed, and no channel file'],
    ['another board', signed(channelOf({ board: 'toaster' })), 'board', 'it is for the board "toaster"'],
    ['another channel', signed(channelOf({ channel: 'beta' })), 'channel', 'it is the channel "beta"'],
    [
      'an expired one',
      signed(channelOf({ expiresMs: nowMs })),
      'expired',
      'it expired at 2026-12-01T12:00:00Z',
    ],
    ['a schema of later', raucInfoOf('{"schema":2}'), 'schema', 'its schema is 2; this system knows 1'],
    ['nonsense', raucInfoOf('{"schema":1}'), 'content', 'board is no name'],
  ])('%s', async (_, body, code, reason) => {
    files = { [latest]: answer, [stable]: body }
    await using server = await serve()
    const error = await failure(lookAt(server))
    expect(error).toMatchObject({ name: 'UpdateServerError', kind: 'channel', code })
    expect(error.message).toContain(`the channel file is refused: ${reason}`)
    expect(requests).toEqual([stable])
    expect(parseChannelRecords(await readFile(recordsPath, 'utf8').catch(() => undefined))).toEqual([])
  })

  test('a file without end', async () => {
    files = { [stable]: signed(channelOf()).padEnd(97 << 10) }
    await using server = await serve()
    expect(await failure(lookAt(server))).toMatchObject({ kind: 'too-large' })
  })
})

describe('once a channel was followed', () => {
  const seen = channelOf({ sequence: 9, release: release('1.6.0') })
  async function followed(server: TestServer): Promise<void> {
    files = { [latest]: answer, [stable]: signed(seen) }
    await lookAt(server)
    requests = []
  }

  test('its number and identity are remembered, for this server', async () => {
    await using server = await serve()
    await followed(server)
    expect(parseChannelRecords(await readFile(recordsPath, 'utf8'))).toEqual([
      {
        ...{ serverUrl: server.address, channel: 'stable', sequence: 9, time: '2026-12-01T12:00:00Z' },
        identity: expect.stringMatching(/^[0-9a-f]{64}$/),
      },
    ])
  })

  test('the server can neither go back to answers without a signature, nor hide behind another channel', async () => {
    await using server = await serve()
    await followed(server)
    for (const channel of ['stable', 'beta']) {
      for (const status of [404, 410]) {
        files = { [latest]: answer, [stable]: status, '/channels/rock64/beta.channel': status }
        const error = await failure(lookAt(server, { channel }))
        expect(error).toMatchObject({ kind: 'channel', code: 'missing' })
        expect(error.message).toBe(
          `the update server has no channel "${channel}" (${status}), and it had a channel before: ` +
            'what nobody signed is not followed any more',
        )
      }
    }
    expect(requests).not.toContain(latest)
  })

  test('an older file is refused, even when it offers something newer', async () => {
    await using server = await serve()
    await followed(server)
    files = { [stable]: signed(channelOf({ sequence: 8, release: release('1.7.0') })) }
    expect(await failure(lookAt(server))).toMatchObject({ kind: 'channel', code: 'replay' })
    files = { [stable]: signed(channelOf({ sequence: 9, release: release('1.7.0') })) }
    expect(await failure(lookAt(server))).toMatchObject({ kind: 'channel', code: 'replay' })
    files = { [stable]: signed(channelOf({ sequence: 10, release: release('1.7.0') })) }
    expect(await lookAt(server)).toMatchObject({ decision: { action: 'install' } })
  })

  test('it is the same server with a slash at its end', async () => {
    await using server = await serve()
    await followed(server)
    files = { [latest]: answer }
    expect(await failure(lookAt(server, { serverUrl: `${server.address}/` }))).toMatchObject({
      code: 'missing',
    })
  })

  test('another server is a beginning', async () => {
    await using server = await serve()
    await followed(server)
    await using other = await serve()
    files = { [latest]: answer }
    expect(await lookAt(other)).toMatchObject({ channel: undefined })
  })

  test('without the records it is a beginning, too: the way back by hand', async () => {
    await using server = await serve()
    await followed(server)
    await writeFile(recordsPath, '{ torn')
    files = { [latest]: answer }
    expect(await lookAt(server)).toMatchObject({ channel: undefined })
  })

  test('somebody who only asks leaves no trace', async () => {
    await using server = await serve()
    files = { [stable]: signed(seen) }
    await lookAt(server, { remember: false })
    await expect(readFile(recordsPath)).rejects.toThrow('ENOENT')
  })

  test('records that can no longer be written stop the update', async () => {
    await using server = await serve()
    files = { [stable]: signed(seen) }
    const inAFile = join(dir.authorities.public, 'channels.json')
    await expect(lookAt(server, { channelRecordsPath: inAFile })).rejects.toThrow('EEXIST')
  })
})

test('a bundle is here when size and hash are those of the channel', async () => {
  const path = join(dir.path, '..', 'bundle')
  await writeFile(path, 'hello\n')
  const sha256 = '5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03'
  const of = (file: { sizeBytes: number; sha256: string } | undefined) => ({
    ...{ version: '1.4.0', bundleUrl: 'https://x.example/b' },
    ...(file && { file }),
  })
  expect(await bundleIsHere(path, of({ sizeBytes: 6, sha256 }))).toBe(true)
  expect(await bundleIsHere(`${path}-2`, of({ sizeBytes: 6, sha256 }))).toBe(false)
  expect(await bundleIsHere(path, of(undefined))).toBe(false)
  expect(await bundleFileProblem(path, of(undefined))).toBeUndefined()
  expect(await bundleFileProblem(path, of({ sizeBytes: 7, sha256 }))).toBe(
    'the channel says that the bundle has 7 bytes, and it has 6',
  )
  expect(await bundleFileProblem(path, of({ sizeBytes: 6, sha256: 'ab'.repeat(32) }))).toBe(
    'the bundle is not the one that the channel names',
  )
})

test("the clock that counts is the device's own", async () => {
  files = { [stable]: signed(channelOf()) }
  await using server = await serve()
  expect(await failure(lookAt(server, { nowMs: nowMs + 31 * dayMs }))).toMatchObject({ code: 'expired' })
})
