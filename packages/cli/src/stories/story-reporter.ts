import { writeFileSync } from 'node:fs'
import { basename } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import type { UserConsoleLog } from 'vitest'
import {
  type SerializedError,
  type TestCase,
  type TestModule,
  type TestRunEndReason,
  type TestSpecification,
  VerboseReporter,
} from 'vitest/node'
import { wantsColour } from '../terminal-reporter.ts'
import { readLastSteps } from './last-step.ts'
import { renderTable } from './render-table.ts'
import { reportVariable, workDirVariable } from './report-variables.ts'
import { StoryProgress } from './story-progress.ts'

const redrawMs = 1000
const suffix = '.e2e.ts'

/**
 * Tells of stories: on a terminal a table that stays where it is, elsewhere each test on a line of its own when it ends
 * (Vitest's verbose reporter). Failures are told by Vitest with their place and difference in the end. Leaves the time
 * of each story in a JSON file, as a list of `StoryResult`. Runs in Vitest's process.
 */
export default class StoryReporter extends VerboseReporter {
  readonly #live = process.stdout.isTTY === true && process.env.TERM !== 'dumb'
  #progress = new StoryProgress([])
  #names: readonly string[] = []
  #lastSteps: ReadonlyMap<string, string> = new Map()
  #timer: NodeJS.Timeout | undefined
  /** How many lines of the table stand above the cursor. */
  #drawnLines = 0

  constructor() {
    super({ summary: false })
  }

  override onTestRunStart(specifications: readonly TestSpecification[]): void {
    super.onTestRunStart(specifications)
    this.#names = specifications.map(({ moduleId }) => storyName(moduleId))
    this.#progress = new StoryProgress(this.#names)
    if (!this.#live) return
    this.#timer = setInterval(() => void this.#redraw(), redrawMs)
    this.#timer.unref()
    this.#draw()
  }

  override onTestModuleQueued(module: TestModule): void {
    super.onTestModuleQueued(module)
    this.#progress.began(storyName(module.moduleId), performance.now())
    this.#draw()
  }

  override onTestModuleCollected(module: TestModule): void {
    super.onTestModuleCollected(module)
    this.#progress.counted(storyName(module.moduleId), [...module.children.allTests()].length)
  }

  override onTestCaseReady(test: TestCase): void {
    super.onTestCaseReady(test)
    this.#progress.testBegan(storyName(test.module.moduleId), test.fullName, performance.now())
    this.#draw()
  }

  override onTestCaseResult(test: TestCase): void {
    const story = storyName(test.module.moduleId)
    const { state, errors } = test.result()
    // A case that is only collected has no result yet; one that ended has.
    if (state === 'pending') return
    const seconds = (test.diagnostic()?.duration ?? 0) / 1000
    this.#progress.testEnded(story, { name: test.fullName, state, seconds })
    for (const { message } of errors ?? []) {
      this.#progress.failed(story, { where: test.fullName, message: stripVTControlCharacters(message) })
    }
    // On a terminal only what went wrong is told before the end: the table has the rest.
    if (!this.#live || state === 'failed') this.#above(() => super.onTestCaseResult(test))
    else this.#draw()
  }

  override onTestModuleEnd(module: TestModule): void {
    super.onTestModuleEnd(module)
    const story = storyName(module.moduleId)
    // Vitest has a file as passed whose tests were all skipped when they were about to begin.
    const told = [...module.children.allTests()].some((test) => test.result().state !== 'skipped')
    const state = module.state() === 'passed' && !told ? 'skipped' : module.state()
    const outside = [
      ...module.errors(),
      ...[...module.children.allSuites()].flatMap((suite) => suite.errors()),
    ]
    for (const { message } of outside) {
      this.#progress.failed(story, { where: story, message: stripVTControlCharacters(message) })
    }
    this.#progress.ended(
      story,
      state === 'passed' || state === 'skipped' ? state : 'failed',
      performance.now(),
    )
    this.#draw()
  }

  override onUserConsoleLog(log: UserConsoleLog): void {
    this.#above(() => super.onUserConsoleLog(log))
  }

  override onTestRunEnd(
    modules: readonly TestModule[],
    errors: readonly SerializedError[],
    reason: TestRunEndReason,
  ): void {
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#draw()
    // What follows stands below the finished table.
    this.#drawnLines = 0
    const path = process.env[reportVariable]
    if (path !== undefined) writeFileSync(path, JSON.stringify(this.#progress.results(performance.now())))
    super.onTestRunEnd(modules, errors, reason)
  }

  async #redraw(): Promise<void> {
    const workDir = process.env[workDirVariable]
    if (workDir !== undefined) {
      this.#lastSteps = await readLastSteps(workDir, this.#progress.underWay, this.#names)
    }
    // The run may have ended meanwhile.
    if (this.#timer !== undefined) this.#draw()
  }

  /** Whatever this prints goes where the table begins, and the table below it. */
  #above(print: () => void): void {
    this.#erase()
    print()
    this.#draw()
  }

  #draw(): void {
    if (!this.#live || this.#names.length === 0) return
    const { columns = 80, rows = 24 } = process.stdout
    const lines = renderTable(this.#progress.rows(performance.now()), {
      columns,
      // The cursor's own line stays free, or the terminal would scroll the table away.
      lines: rows - 1,
      colour: wantsColour(process.stdout, process.env),
      lastSteps: this.#lastSteps,
    })
    this.#erase()
    process.stdout.write(`${lines.join('\n')}\n`)
    this.#drawnLines = lines.length
  }

  #erase(): void {
    if (this.#drawnLines === 0) return
    process.stdout.write(`\x1b[${this.#drawnLines}A\x1b[0J`)
    this.#drawnLines = 0
  }
}

function storyName(moduleId: string): string {
  return basename(moduleId, suffix)
}
