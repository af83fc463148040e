import { expect, test } from 'vitest'
import { judgeUnit, parseUnitFacts, shellQuote, type UnitFacts } from './unit-state.ts'

const up: UnitFacts = {
  load: 'loaded',
  active: 'active',
  sub: 'running',
  result: 'success',
  conditionMet: true,
  hasJob: false,
  managerBusy: false,
}

test('what systemctl show prints becomes facts', () => {
  const output =
    'LoadState=loaded\nActiveState=activating\nSubState=start\nResult=success\nConditionResult=yes\nJob=42\nNJobs=7\n'
  expect(parseUnitFacts(output)).toEqual({
    load: 'loaded',
    active: 'activating',
    sub: 'start',
    result: 'success',
    conditionMet: true,
    hasJob: true,
    managerBusy: true,
  })
})

test.each<[string, Partial<UnitFacts>, 'active' | 'inactive' | 'failed', string]>([
  ['active', {}, 'active', 'reached'],
  ['starting', { active: 'activating', hasJob: true, managerBusy: true }, 'active', 'wait'],
  ['not yet asked for, while others start', { active: 'inactive', managerBusy: true }, 'active', 'wait'],
  ['failed', { active: 'failed', result: 'exit-code' }, 'active', 'it is "failed" (exit-code)'],
  ['failed and about to be started again', { active: 'failed', hasJob: true }, 'active', 'wait'],
  ['waiting for its automatic restart', { active: 'activating', sub: 'auto-restart' }, 'active', 'wait'],
  ['masked', { load: 'masked', active: 'inactive', managerBusy: true }, 'active', 'it is masked'],
  [
    'unknown while the system starts',
    { load: 'not-found', active: 'inactive', managerBusy: true },
    'active',
    'wait',
  ],
  ['unknown at rest', { load: 'not-found', active: 'inactive' }, 'active', 'there is no such unit'],
  ['inactive at rest', { active: 'inactive' }, 'active', 'it is "inactive" and nothing is going to start it'],
  [
    'inactive for a condition',
    { active: 'inactive', conditionMet: false },
    'active',
    'it is "inactive" and a condition of it was not met',
  ],
  ['wanted inactive, still active', {}, 'inactive', 'wait'],
  ['wanted inactive, never there', { load: 'not-found', active: 'inactive' }, 'inactive', 'reached'],
  ['wanted failed', { active: 'failed' }, 'failed', 'reached'],
])('a unit that is %s', (_name, facts, wanted, expected) => {
  const verdict = judgeUnit({ ...up, ...facts }, wanted)
  expect(verdict.kind === 'impossible' ? verdict.why : verdict.kind).toBe(expected)
})

test('words are quoted only when the shell would change them', () => {
  expect(['a.service', "it's", 'a b', ''].map(shellQuote)).toEqual(['a.service', "'it'\\''s'", "'a b'", "''"])
})
