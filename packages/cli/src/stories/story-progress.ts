/**
 * What is known of the stories of a run while they are told: pure, so that the table on a terminal and the summary in the
 * end can be checked without any machine. Times are milliseconds of one clock, whichever it is.
 */
export type StoryState = 'waiting' | 'preparing' | 'running' | 'passed' | 'failed' | 'skipped'

export interface StoryTest {
  /** With the groups it is in: `rauc-slots > first boot: ...`. */
  readonly name: string
  readonly state: 'passed' | 'failed' | 'skipped'
  readonly seconds: number
}

export interface StoryFailure {
  /** The test, or the story itself when what it needs could not be prepared. */
  readonly where: string
  readonly message: string
}

/** What is left of a story when it has been told, as it stands in the JSON of a run. */
export interface StoryResult {
  readonly name: string
  /** `waiting` when the run ended before its turn. */
  readonly state: 'passed' | 'failed' | 'skipped' | 'waiting'
  /** From its begin to its end, machines and saved states that it made included. */
  readonly seconds: number
  /** Of these, the time before its first test: a machine boots, or a saved one is made and started. */
  readonly preparationSeconds: number
  readonly tests: readonly StoryTest[]
  readonly failures: readonly StoryFailure[]
}

interface Story {
  readonly name: string
  state: StoryState
  startedAtMs: number | undefined
  firstTestAtMs: number | undefined
  endedAtMs: number | undefined
  testCount: number
  /** Those under way; several when a story runs some of its tests at the same time. */
  readonly current: Set<string>
  readonly tests: StoryTest[]
  readonly failures: StoryFailure[]
}

export class StoryProgress {
  readonly #stories = new Map<string, Story>()

  constructor(names: readonly string[]) {
    for (const name of names) this.#story(name)
  }

  /** A process has begun with the story. Of one that takes no time Vitest may tell the end first, here and below. */
  began(name: string, atMs: number): void {
    const story = this.#story(name)
    if (story.endedAtMs !== undefined) return
    story.state = 'preparing'
    story.startedAtMs = atMs
  }

  /** How many tests there are is known once the file has been read. */
  counted(name: string, testCount: number): void {
    this.#story(name).testCount = testCount
  }

  testBegan(name: string, test: string, atMs: number): void {
    const story = this.#story(name)
    if (story.endedAtMs !== undefined) return
    story.state = 'running'
    story.firstTestAtMs ??= atMs
    story.current.add(test)
  }

  testEnded(name: string, test: StoryTest): void {
    const story = this.#story(name)
    story.current.delete(test.name)
    story.tests.push(test)
  }

  failed(name: string, failure: StoryFailure): void {
    this.#story(name).failures.push(failure)
  }

  ended(name: string, state: 'passed' | 'failed' | 'skipped', atMs: number): void {
    const story = this.#story(name)
    story.state = state
    story.startedAtMs ??= atMs
    story.endedAtMs = atMs
    story.current.clear()
  }

  /** Names of the stories that are under way. */
  get underWay(): string[] {
    return [...this.#stories.values()].filter(isUnderWay).map(({ name }) => name)
  }

  rows(nowMs: number): StoryRow[] {
    return [...this.#stories.values()].map((story) => ({
      name: story.name,
      state: story.state,
      ended: story.tests.length,
      failed: story.tests.filter(({ state }) => state === 'failed').length,
      testCount: story.testCount,
      seconds: story.startedAtMs === undefined ? undefined : secondsOf(story, nowMs),
      current: [...story.current],
    }))
  }

  results(nowMs: number): StoryResult[] {
    return [...this.#stories.values()].map((story) => ({
      name: story.name,
      state: isUnderWay(story) ? 'failed' : (story.state as StoryResult['state']),
      seconds: secondsOf(story, nowMs),
      preparationSeconds:
        story.startedAtMs === undefined
          ? 0
          : ((story.firstTestAtMs ?? story.endedAtMs ?? nowMs) - story.startedAtMs) / 1000,
      tests: story.tests,
      failures: isUnderWay(story)
        ? [...story.failures, { where: story.name, message: 'the run ended in the middle of it' }]
        : story.failures,
    }))
  }

  #story(name: string): Story {
    const found = this.#stories.get(name)
    if (found !== undefined) return found
    const story: Story = {
      ...{ name, state: 'waiting' as const, testCount: 0 },
      ...{ startedAtMs: undefined, firstTestAtMs: undefined, endedAtMs: undefined },
      ...{ current: new Set<string>(), tests: [], failures: [] },
    }
    this.#stories.set(name, story)
    return story
  }
}

export interface StoryRow {
  readonly name: string
  readonly state: StoryState
  readonly ended: number
  readonly failed: number
  /** 0 while it is not known. */
  readonly testCount: number
  /** Undefined before its turn. */
  readonly seconds: number | undefined
  readonly current: readonly string[]
}

function isUnderWay({ state }: Pick<Story, 'state'>): boolean {
  return state === 'preparing' || state === 'running'
}

function secondsOf(story: Story, nowMs: number): number {
  return story.startedAtMs === undefined ? 0 : ((story.endedAtMs ?? nowMs) - story.startedAtMs) / 1000
}
