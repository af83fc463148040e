/**
 * Runs before each story. When the time in which stories may begin is over, all tests of the story are skipped with that reason,
 * and nothing is made for them.
 */
import { beforeAll, beforeEach, type RunnerTestSuite, TestRunner } from 'vitest'
import { setup } from './setup.ts'

if (setup.beginUntilMs !== undefined && Date.now() >= setup.beginUntilMs) {
  // biome-ignore lint/correctness/noEmptyPattern: Vitest reads from it that no fixture is wanted
  beforeAll(({}, file) => withoutHooks(file))
  beforeEach(({ skip }) => skip('not begun: the time in which stories begin was over'))
}

/** What suites make before their tests takes minutes, and what they take away is not there. */
function withoutHooks({ tasks }: Readonly<RunnerTestSuite>): void {
  for (const task of tasks) {
    if (task.type !== 'suite') continue
    const hooks = TestRunner.getSuiteHooks(task)
    hooks.beforeAll.length = 0
    hooks.afterAll.length = 0
    withoutHooks(task)
  }
}
