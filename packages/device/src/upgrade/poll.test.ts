import { describe, expect, test } from 'vitest'
import type { LastLook } from './last-look.ts'
import { renderLastLook } from './last-look.ts'
import type { Look } from './look.ts'
import { type PollDoors, poll } from './poll.ts'
import { UpdateServerError } from './server-error.ts'

const answer = {
  ...{ version: '1.4.0', bundleUrl: 'https://updates.example/bundles/1.4.0.raucb' },
  file: { sizeBytes: 6, sha256: 'ab'.repeat(32) },
}
const channel = {
  ...{ name: 'stable', sequence: 7, percent: 100, halted: undefined },
  ...{ published: '2026-11-30T12:00:00Z', expires: '2026-12-31T12:00:00Z' },
}
const take: Look = { channel, answer, decision: { action: 'install', reason: 'it is time' } }
const wait: Look = {
  ...{ channel, answer },
  decision: { action: 'fetch', reason: 'window', notBefore: '2026-12-02T02:00:00Z' },
}
const halted: Look = { channel, answer, decision: { action: 'none', reason: 'the channel is halted' } }
const plain: Look = {
  channel: undefined,
  answer: { version: '1.4.0', bundleUrl: answer.bundleUrl },
  decision: { action: 'install' },
}
const away = new UpdateServerError('network', 'the update server refuses the connection', { url: 'x' })

async function polled(options: { looks: (Look | Error)[]; here?: boolean; fetchError?: Error }) {
  const done: string[] = []
  const notes: LastLook[] = []
  const looks = [...options.looks]
  const doors: PollDoors = {
    async look() {
      const next = looks.shift()
      if (next === undefined) throw new Error('looked too often')
      if (next instanceof Error) throw next
      return next
    },
    note: async (last) => void notes.push(last),
    say: () => {},
    isHere: async () => options.here ?? false,
    async fetch() {
      done.push('fetch')
      if (options.fetchError) throw options.fetchError
      return 'delta from 1.3.0, 2.5 MB instead of 113.7 MB'
    },
    discard: async () => void done.push('discard'),
    async install(offered) {
      done.push(`install ${offered.version}`)
      return 0
    },
    nowMs: () => Date.UTC(2026, 11, 1),
  }
  const exitCode = await poll(doors).catch((error: Error) => error.message)
  return { done, exitCode, last: notes.at(-1), left: looks.length }
}

describe('a poll', () => {
  test.each<[string, Parameters<typeof polled>[0], string[]]>([
    ['installs what an unsigned answer offers, asking once', { looks: [plain] }, ['fetch', 'install 1.4.0']],
    ['asks the channel again after fetching', { looks: [take, take] }, ['fetch', 'install 1.4.0']],
    ['does not fetch what is here', { looks: [take], here: true }, ['install 1.4.0']],
    ['fetches ahead of a window', { looks: [wait, wait] }, ['fetch']],
    ['leaves what is here for its window', { looks: [wait], here: true }, []],
    ['installs when the window opens while it fetches', { looks: [wait, take] }, ['fetch', 'install 1.4.0']],
    ['keeps it when the window closes meanwhile', { looks: [take, wait] }, ['fetch']],
    ['drops it when it is halted meanwhile', { looks: [take, halted] }, ['fetch', 'discard']],
    ['drops what waited when it is halted', { looks: [halted], here: true }, ['discard']],
    [
      'drops it when another bundle is offered meanwhile',
      { looks: [take, { ...take, answer: { ...answer, version: '1.4.1' } }] },
      ['fetch', 'discard'],
    ],
    ['installs nothing when the server is away after fetching', { looks: [take, away] }, ['fetch']],
    ['installs nothing when the server is away', { looks: [away], here: true }, []],
    ['installs nothing that did not come whole', { looks: [take], fetchError: away }, ['fetch']],
  ])('%s', async (_, options, expected) => {
    const { done, exitCode, left } = await polled(options)
    expect(done).toEqual(expected)
    expect(exitCode).toBe(0)
    expect(left).toBe(0)
  })

  test('that fails on this device fails, and says so', async () => {
    const { exitCode, last } = await polled({ looks: [take], fetchError: new Error('disk on fire') })
    expect(exitCode).toBe('disk on fire')
    expect(last).toMatchObject({ action: 'failed', reason: 'disk on fire' })
  })
})

test('what came of it can be read', async () => {
  const lines = await Promise.all(
    [[take, take], [wait, wait], [halted], [away]].map(async (looks) =>
      renderLastLook((await polled({ looks })).last!),
    ),
  )
  const from = '(channel stable, number 7)'
  const came = 'fetched: delta from 1.3.0, 2.5 MB instead of 113.7 MB'
  const looked = 'looked at 2026-12-01T00:00:00.000Z'
  expect(lines).toEqual([
    `installing version 1.4.0 ${from}: it is time; ${came}; ${looked}`,
    `version 1.4.0 waits for its window ${from}: window; ${came}; ${looked}`,
    `nothing to install ${from}: the channel is halted; ${looked}`,
    `not known: the update server refuses the connection; ${looked}`,
  ])
})
