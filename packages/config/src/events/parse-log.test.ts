import { expect, test } from 'vitest'
import { parseEventLog } from './parse-log.ts'

const line = (seq: number) =>
  JSON.stringify({ seq, time: '2026-11-27T12:00:00Z', bootId: 'one', slot: 'A', event: 'boot' })

test('what a power cut has torn costs no other event, and is told', () => {
  const { events, problems } = parseEventLog(
    `${line(1)}\n${line(2).slice(0, 30)}\n\n\0\0\0\n${line(3)}\n`,
    'the log',
  )
  expect(events.map(({ seq }) => seq)).toEqual([1, 3])
  expect(problems).toEqual([
    'the log: line 2 is damaged, as by a power cut; it is left out',
    'the log: line 4 is damaged, as by a power cut; it is left out',
  ])
})
