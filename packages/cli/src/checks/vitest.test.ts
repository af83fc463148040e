import { expect, test } from 'vitest'
import { countReport } from './vitest.ts'

const report = {
  success: true,
  numPassedTests: 3,
  numFailedTests: 0,
  numPendingTests: 1,
  numTodoTests: 0,
  testResults: [],
}

test('counts what ran', () => {
  expect(countReport(report, 0)).toEqual({ passed: 3, failed: 0, skipped: 1 })
})

test('a file that could not be loaded is a failure', () => {
  const broken = { status: 'failed', name: 'a.test.ts', assertionResults: [] }
  expect(countReport({ ...report, success: false, testResults: [broken] }, 1).failed).toBe(1)
})

test('a run that failed outside any test is a failure', () => {
  expect(countReport(report, 1).failed).toBe(1)
})
