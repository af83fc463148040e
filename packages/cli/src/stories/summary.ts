import type { StoryResult } from './story-progress.ts'

/** The result of a run for people: time of each story, then what failed and where its logs lie. Pure. */
export function renderSummary(
  stories: readonly StoryResult[],
  {
    seconds,
    logsOf,
  }: {
    /** Of the whole run; several stories are told at the same time. */
    readonly seconds: number
    /** Folders with the logs of a story's machines, as a person may type them. */
    readonly logsOf: (story: string) => readonly string[]
  },
): string {
  const width = Math.max(5, ...stories.map(({ name }) => name.length))
  const lines = [
    `${'story'.padEnd(width)}  ${'result'.padEnd(7)}  tests  preparation     time`,
    ...stories.map(({ name, state, tests, preparationSeconds, seconds }) =>
      [
        name.padEnd(width),
        (state === 'waiting' ? 'not run' : state).padEnd(7),
        String(tests.length).padStart(5),
        `${preparationSeconds.toFixed(0)} s`.padStart(11),
        `${seconds.toFixed(0)} s`.padStart(7),
      ].join('  '),
    ),
    `${countOf(stories.length, 'story', 'stories')} of ${total(stories).toFixed(0)} s, told in ${seconds.toFixed(0)} s`,
  ]
  const failed = stories.filter(({ state }) => state === 'failed')
  if (failed.length > 0) lines.push('', 'failed:')
  for (const { name, failures } of failed) {
    for (const { where, message } of failures) {
      lines.push(`  ${where}`, `    ${firstLines(message).replaceAll('\n', '\n    ')}`)
    }
    if (failures.length === 0) lines.push(`  ${name}`, '    no test says why; what Vitest printed above does')
    const logs = logsOf(name)
    if (logs.length > 0) lines.push(`  logs of its machines: ${logs.join(', ')}`)
  }
  return `${lines.join('\n')}\n`
}

export interface RunCounts {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}

/** The same for scripts: the shape that `./atomixos e2e --json` prints. */
export function summaryJson(
  stories: readonly StoryResult[],
  run: {
    readonly counts: RunCounts
    readonly seconds: number
    readonly buildSeconds: number
    readonly thorough: boolean
    readonly logsOf: (story: string) => readonly string[]
  },
): RunSummary {
  return {
    ...run.counts,
    thorough: run.thorough,
    buildSeconds: rounded(run.buildSeconds),
    seconds: rounded(run.seconds),
    stories: stories.map((story) => ({
      ...story,
      seconds: rounded(story.seconds),
      preparationSeconds: rounded(story.preparationSeconds),
      tests: story.tests.map((test) => ({ ...test, seconds: rounded(test.seconds) })),
      logs: run.logsOf(story.name),
    })),
  }
}

export interface RunSummary extends RunCounts {
  /** Whether stories that try the same many times tried all of it. */
  readonly thorough: boolean
  /** What was built for the stories: image, bundles, programs. Nearly nothing when it was there. */
  readonly buildSeconds: number
  /** Of all stories together, by the clock on the wall. */
  readonly seconds: number
  readonly stories: readonly (StoryResult & { readonly logs: readonly string[] })[]
}

function total(stories: readonly StoryResult[]): number {
  return stories.reduce((sum, { seconds }) => sum + seconds, 0)
}

function countOf(count: number, one: string, many: string): string {
  return `${count} ${count === 1 ? one : many}`
}

/** Consoles and what commands said stand below a message: they are in the logs, and in full above. */
function firstLines(message: string): string {
  const lines = message.split('\n').filter((line) => line.trim() !== '')
  return lines.length <= 3 ? lines.join('\n') : [...lines.slice(0, 3), '…'].join('\n')
}

function rounded(seconds: number): number {
  return Math.round(seconds * 10) / 10
}
