import { execFile } from 'node:child_process'
import {
  appendFileSync,
  existsSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type NewEvent, olderLogPath, type RecordedEvent, renderEvents } from '@atomixos/config'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type AppendOptions, appendEvent } from './append-event.ts'
import { readEvents } from './read-events.ts'

let dir: string
let path: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'atomixos-test-'))
  path = join(dir, 'logs/events.jsonl')
})
afterEach(() => rm(dir, { recursive: true, force: true }))

const options: AppendOptions = { now: () => new Date('2026-11-24T12:00:00Z'), bootId: 'boot-1' }
const add = (event: NewEvent = { event: 'boot', slot: 'A' }, other: AppendOptions = {}) =>
  appendEvent(path, event, { ...options, ...other })
const numbers = () => readEvents(path).events.map(({ seq }) => seq)

test('what is written is read back, in order', () => {
  expect(readEvents(path)).toEqual({ events: [], problems: [] })
  expect(add()).toBe(true)
  expect(add({ event: 'install-failed', version: '1.2.3', reason: 'no signature', detail: 'a\nb' })).toBe(
    true,
  )
  const common = { time: '2026-11-24T12:00:00.000Z', bootId: 'boot-1' }
  expect(readEvents(path)).toEqual({
    events: [
      { seq: 1, ...common, slot: 'A', event: 'boot' },
      {
        ...{ seq: 2, ...common, slot: null, event: 'install-failed' },
        ...{ version: '1.2.3', reason: 'no signature', detail: 'a\nb' },
      },
    ],
    problems: [],
  })
  expect(readFileSync(path, 'utf8').split('\n')).toHaveLength(3)
})

test("the boot's own id and the time are added", () => {
  expect(appendEvent(path, { event: 'boot' })).toBe(true)
  const [event] = readEvents(path).events
  expect(event!.bootId).toMatch(/^[0-9a-f-]{36}$/)
  expect(Math.abs(Date.parse(event!.time) - Date.now())).toBeLessThan(60_000)
})

describe('after a power cut', () => {
  test.each([
    ['half a line', () => truncateSync(path, statSync(path).size - 20)],
    ['a line without its end', () => truncateSync(path, statSync(path).size - 1)],
    ['zeros', () => appendFileSync(path, Buffer.alloc(5000))],
    ['other garbage', () => appendFileSync(path, '{"seq":"9"}')],
  ])('%s costs no other line', (what, damage) => {
    add()
    add()
    damage()
    expect(add({ event: 'watchdog' })).toBe(true)
    const { events, problems } = readEvents(path)
    const lost = what === 'half a line'
    expect(events.map(({ event }) => event)).toEqual(
      lost ? ['boot', 'watchdog'] : ['boot', 'boot', 'watchdog'],
    )
    expect(events.at(-1)!.seq).toBe(lost ? 2 : 3)
    expect(problems).toEqual(
      what === 'a line without its end'
        ? []
        : [`${path}: line ${lost ? 2 : 3} is damaged, as by a power cut; it is left out`],
    )
  })

  test('between the two steps of changing files the numbers go on', () => {
    add()
    add()
    writeFileSync(olderLogPath(path), readFileSync(path))
    truncateSync(path, 0)
    add()
    expect(numbers()).toEqual([1, 2, 3])
  })
})

test('two files at most, and the numbers go on', () => {
  const rotateAtBytes = 1000
  for (let count = 0; count < 40; count++) {
    add({ event: 'boot' }, { rotateAtBytes })
    expect(statSync(path).size).toBeLessThanOrEqual(rotateAtBytes)
  }
  const seqs = numbers()
  expect(seqs.at(-1)).toBe(40)
  expect(seqs).toEqual(seqs.map((_, index) => seqs[0]! + index))
  expect(seqs.length).toBeGreaterThan(8)
  expect(statSync(olderLogPath(path)).size).toBeLessThanOrEqual(rotateAtBytes)
})

test('an event of any size is one bounded line', () => {
  add({
    event: 'update-refused',
    reason: 'x'.repeat(1e6),
    detail: 'y\n'.repeat(1e6),
    version: 'z'.repeat(1e6),
  })
  expect(statSync(path).size).toBeLessThan(8192)
  expect(readEvents(path).events).toHaveLength(1)
})

describe('a disk that takes nothing gives false:', () => {
  test('no folder', () => {
    writeFileSync(join(dir, 'logs'), '')
    expect(add()).toBe(false)
    expect(readEvents(path).problems).toEqual([
      `${olderLogPath(path)} can't be read (ENOTDIR)`,
      `${path} can't be read (ENOTDIR)`,
    ])
  })
  test.skipIf(!existsSync('/dev/full'))('no space, by the kernel (/dev/full)', () => {
    add()
    const full = join(dir, 'full.jsonl')
    symlinkSync('/dev/full', full)
    expect(appendEvent(full, { event: 'boot' }, options)).toBe(false)
  })
})

describe('two writers', () => {
  test('lose no event and give no number twice, over a change of files', async () => {
    const program = `
      const { appendEvent } = await import(${JSON.stringify(join(import.meta.dirname, 'append-event.ts'))})
      for (let count = 0; count < 60; count++)
        if (!appendEvent(process.argv[1], { event: 'boot' }, { rotateAtBytes: 12000 })) process.exit(1)`
    const writer = () =>
      promisify(execFile)(process.execPath, ['--input-type=module', '-e', program, path], { timeout: 60_000 })
    await Promise.all([writer(), writer()])
    const { events, problems } = readEvents(path)
    expect(problems).toEqual([])
    expect(existsSync(olderLogPath(path))).toBe(true)
    expect(events.map(({ seq }) => seq)).toEqual(Array.from({ length: 120 }, (_, index) => index + 1))
  })

  const held = (holder: string) => symlinkSync(holder, `${path}.lock`)
  test.each([
    ['an earlier boot', 'boot-0:1:1'],
    ['a process that is gone', 'boot-1:4194304:1'],
    ['an earlier process of the same number', `boot-1:${process.pid}:1`],
    ['garbage', 'x'],
  ])('a lock of %s is no obstacle', (_, holder) => {
    add()
    held(holder)
    const startMs = performance.now()
    expect(add()).toBe(true)
    // It waits two seconds for one who lives; less is a disk that is slow to sync.
    expect(performance.now() - startMs).toBeLessThan(2000)
    expect(numbers()).toEqual([1, 2])
    expect(existsSync(`${path}.lock`)).toBe(false)
  })

  test('a lock that is held for ever costs seconds, not the event', () => {
    add()
    const started = readFileSync('/proc/self/stat', 'utf8').split(') ').at(-1)!.split(' ')[19]
    held(`boot-1:${process.pid}:${started}`)
    expect(add({ event: 'confirmed' }, { rotateAtBytes: 1 })).toBe(true)
    expect(numbers()).toEqual([1, 2])
    expect(existsSync(olderLogPath(path))).toBe(false)
  })
})

test('a table for people', () => {
  const at = (seq: number, bootId: string, rest: Partial<RecordedEvent>): RecordedEvent => ({
    ...{
      seq,
      time: `2026-11-24T12:00:${String(seq).padStart(2, '0')}.123Z`,
      bootId,
      slot: 'A',
      event: 'boot',
    },
    ...rest,
  })
  const events = [
    at(8, 'one', { event: 'installed', version: '1.2.3' }),
    at(9, 'two', { slot: 'B' }),
    at(10, 'two', { slot: null, event: 'from-the-future', reason: 'odd\u001b[2J\ntext' }),
  ]
  expect(renderEvents(events)).toBe(`    TIME                  SLOT  EVENT            VERSION  REASON
 8  2026-11-24T12:00:08Z  A     installed        1.2.3

 9  2026-11-24T12:00:09Z  B     boot             -
10  2026-11-24T12:00:10Z  -     from-the-future  -        odd [2J text
`)
  expect(renderEvents([])).toBe('no events\n')
})
