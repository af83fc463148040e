import { describe, expect, test } from 'vitest'
import { type ContainerProgram, programIn, stateOf } from './container-states.ts'

const running = { activeState: 'active', subState: 'running', result: 'success' }
const full = 'populated 1\nfrozen 0\n'
const empty = 'populated 0\nfrozen 0\n'
const container = 'libpod-payload-2af0b5a7'

describe('the program in a container', () => {
  test.each<[string, string[], string[], ContainerProgram]>([
    ['runs', [container, 'runtime', 'cgroup.events'], [full], 'runs'],
    ['has ended, and podman cleans up', [container, 'runtime'], [empty], 'ended'],
    ['has ended, and its group is removed', ['runtime'], [], 'ended'],
    ['has ended, and its group went while it was looked at', [container, 'runtime'], [''], 'ended'],
    ['has its group elsewhere', ['cgroup.events'], [], 'unknown'],
    ['has gone with the whole unit', [], [], 'unknown'],
  ])('%s', (_, groups, events, expected) => {
    expect(programIn(groups, events)).toBe(expected)
  })
})

test('a unit that is active without its program is not up', () => {
  const ended = { name: 'web', state: 'starting', message: 'its program has ended' }
  expect(stateOf('web', running, 'ended')).toEqual(ended)
  for (const program of ['runs', 'unknown'] as const)
    expect(stateOf('web', running, program)).toEqual({ name: 'web', state: 'active' })
  expect(stateOf('web', { ...running, activeState: 'failed', result: 'exit-code' })).toEqual({
    ...{ name: 'web', state: 'failed', message: 'exit-code' },
  })
})
