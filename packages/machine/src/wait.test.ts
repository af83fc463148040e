import { expect, test } from 'vitest'
import { WaitError } from './errors.ts'
import { Impossible, type WaitFrame, waitFor } from './wait.ts'

const frame: WaitFrame = {
  subject: 'gateway',
  what: 'unit sshd.service to be active',
  timeoutMs: 40,
  onImpossible: () => () => {},
  report: () => '  console log: /run/console.log',
}
const forever = () => new Promise<never>(() => {})

test('gives what the body gives', async () => {
  expect(await waitFor(frame, async () => 42)).toBe(42)
})

test('out of time: name, deadline, last look, report', async () => {
  const wait = waitFor({ ...frame, lastLook: async () => 'Active: activating\nJob: 7' }, forever)
  await expect(wait).rejects.toThrow(
    `gateway: waiting for unit sshd.service to be active: time is up (waited 0.0 s of 0.0 s)
    Active: activating
    Job: 7
  console log: /run/console.log`,
  )
  await expect(wait).rejects.toMatchObject({ reason: 'timeout' })
})

test('a last look that fails does not hide the error', async () => {
  const lastLook = async () => {
    throw new Error('nobody there\nstack')
  }
  await expect(waitFor({ ...frame, lastLook }, forever)).rejects.toThrow('(a last look failed: nobody there)')
})

test('ends at once when it became impossible, and tells the body to stop', async () => {
  let tell = (_why: string) => {}
  let stopped = ''
  const wait = waitFor(
    {
      ...frame,
      timeoutMs: 60_000,
      onImpossible: (listener) => {
        tell = listener
        return () => {}
      },
    },
    ({ signal }) => {
      signal.addEventListener('abort', () => {
        stopped = String(signal.reason)
      })
      return forever()
    },
  )
  tell('the machine is off')
  await expect(wait).rejects.toThrow('the machine is off')
  await expect(wait).rejects.toMatchObject({ reason: 'impossible' })
  expect(stopped).toContain('the machine is off')
})

test('the body can find out that it is impossible, and show what it saw', async () => {
  const wait = waitFor(frame, async () => {
    throw new Impossible('it is "failed"', 'Main PID: 7')
  })
  await expect(wait).rejects.toThrow(/it is "failed" \(waited .*\n {4}Main PID: 7\n/)
})

test('other errors of the body pass unchanged', async () => {
  const bug = new TypeError('a bug')
  await expect(
    waitFor(frame, async () => {
      throw bug
    }),
  ).rejects.toBe(bug)
})

test('can be given up from outside, before and while', async () => {
  const given = new AbortController()
  const wait = waitFor({ ...frame, timeoutMs: 60_000, signal: given.signal }, forever)
  given.abort(new Error('Ctrl-C'))
  await expect(wait).rejects.toThrow('given up: Ctrl-C')
  await expect(waitFor({ ...frame, signal: given.signal }, forever)).rejects.toBeInstanceOf(WaitError)
})
