import { describe, expect, test } from 'vitest'
import type { ContainerState } from './activator.ts'
import { type ContainerLook, judgeContainers } from './judge-containers.ts'
import { waitForContainers } from './wait-for-containers.ts'

const policy = { required: ['web'], timeout_seconds: 60, settle_seconds: 0 }

/** `web:active log:failed` */
function states(text: string): ContainerState[] {
  return text.split(' ').map((entry) => {
    const [name, state] = entry.split(':') as [string, ContainerState['state']]
    return { name, state }
  })
}

function judge(text: string, look: Partial<ContainerLook> = {}): string {
  const all = { policy, elapsedMs: 0, upSinceMs: undefined, failedBefore: new Set<string>(), ...look }
  const judged = judgeContainers({ ...all, states: states(text) })
  if (judged.verdict === 'wait') return judged.up ? 'wait, up' : 'wait'
  return judged.verdict === 'good' ? `good ${judged.degraded}`.trim() : judged.reason
}

const allowing = (...allow_degraded: string[]) => ({ policy: { ...policy, allow_degraded } })
const settling = { policy: { ...policy, settle_seconds: 10 } }
const before = (...names: string[]) => ({ failedBefore: new Set(names) })
const late = { elapsedMs: 60_000 }

test.each<[string, string, Partial<ContainerLook>, string]>([
  ['up', 'web:active', {}, 'good'],
  ['coming up', 'web:starting', {}, 'wait'],
  ['not known yet', 'log:active', {}, 'wait'],
  ['too late', 'web:starting', late, 'not up within 60 s: container "web" is starting'],
  ['failed for a moment', 'web:failed', {}, 'wait'],
  ['failed', 'web:failed', before('web'), 'container "web" failed'],
  ['failed for a moment, too late', 'web:failed', late, 'not up within 60 s: container "web" failed'],
  ['another one failed', 'web:active log:failed', before('log'), 'good log'],
  ['another one is coming up', 'web:active log:starting', {}, 'good log'],
  [
    'another one failed, and none may',
    'web:active log:failed',
    { ...allowing(), ...before('log') },
    'container "log" failed',
  ],
  ['another one failed for a moment, and none may', 'web:active log:failed', allowing(), 'wait'],
  ['one that may fail did', 'web:active log:failed', { ...allowing('log'), ...before('log') }, 'good log'],
  ['one that may not fail is coming up', 'web:active log:starting', allowing(), 'wait'],
  [
    'one that may not fail is still coming up',
    'web:active log:starting',
    { ...allowing(), ...late },
    'good log',
  ],
  ['up, and has to stay', 'web:active', settling, 'wait, up'],
  ['has stayed', 'web:active', { ...settling, elapsedMs: 15_000, upSinceMs: 5000 }, 'good'],
  [
    'has not stayed long enough',
    'web:active',
    { ...settling, elapsedMs: 14_999, upSinceMs: 5000 },
    'wait, up',
  ],
  [
    'did not stay',
    'web:starting',
    { ...settling, elapsedMs: 9000, upSinceMs: 5000 },
    'container "web" is starting, 4 s after all were up',
  ],
  [
    'stays beyond the time to come up',
    'web:active',
    { ...settling, elapsedMs: 61_000, upSinceMs: 59_000 },
    'wait, up',
  ],
])('%s', (_, text, look, expected) => {
  expect(judge(text, look)).toBe(expected)
})

describe('waiting', () => {
  async function wait(looks: (string | Error)[], more: Partial<typeof settling.policy> = {}) {
    let nowMs = 0
    const told: string[] = []
    const outcome = await waitForContainers({
      policy: { ...policy, restart: [], strategy: 'rollback', ...more },
      look: async () => {
        const next = looks.length > 1 ? looks.shift()! : looks[0]!
        if (next instanceof Error) throw next
        return states(next)
      },
      told: (seen) => told.push(seen.map(({ name, state }) => `${name}:${state}`).join(' ')),
      sleep: async (ms) => {
        nowMs += ms
      },
      now: () => nowMs,
    })
    return { outcome, nowMs, told }
  }

  test('ends when it is decided, and has told of every look', async () => {
    const { outcome, nowMs, told } = await wait(['web:starting', 'web:failed', 'web:starting', 'web:active'])
    expect(outcome).toEqual({ up: true, degraded: [] })
    expect(nowMs).toBe(3000)
    expect(told).toEqual(['web:starting', 'web:failed', 'web:starting', 'web:active'])
  })

  test('two looks at a failure are enough', async () => {
    expect(await wait(['web:starting', 'web:failed'])).toMatchObject({
      outcome: { up: false, reason: 'container "web" failed' },
      nowMs: 2000,
    })
  })

  test('the time to settle begins when all are up', async () => {
    expect((await wait(['web:starting', 'web:active'], { settle_seconds: 10 })).nowMs).toBe(11_000)
  })

  test('a manager that does not answer is asked again, until the time is up', async () => {
    expect((await wait([new Error('timed out'), 'web:active'])).outcome.up).toBe(true)
    expect((await wait([new Error('timed out')])).outcome).toEqual({
      up: false,
      reason: 'how the containers are cannot be seen: timed out',
    })
  })
})
