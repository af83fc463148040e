import { rm } from 'node:fs/promises'
import { availableParallelism, cpus, loadavg } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { e2eWorkDir, prepareE2e, runE2e, type StoryRun } from '@atomixos/cli/commands/e2e.ts'
import { createContext } from '@atomixos/cli/context.ts'
import { coreStories, storiesAtATime } from '@atomixos/e2e/core-stories.ts'
import { UserError } from '@atomixos/image/errors.ts'
import { references } from './e2e-references.ts'
import { runBench } from './run-bench.ts'

/**
 * How long the nine core stories take by emulation, next to the times that the reference system publishes for its tests of the
 * same names. Prints what it finds, judges nothing.
 */
const help = `Usage: ./atomixos bench e2e [--only NAMES] [--one-at-a-time] [--fresh] [--json]

Tells the nine core stories like "e2e" without a name: with the part of what they try many times, three at a time. Saved
devices in the field, which several of them start from, are made before and told by themselves.

  --only NAMES     of these stories only; several with commas
  --one-at-a-time  each story alone on the machine, as the reference system's tests run
  --fresh          make the saved devices anew even when they are there
  --json           the figures as JSON
`

interface Figures {
  /** Image, bundles and programs; nearly nothing when they were built. */
  readonly buildSeconds: number
  /** The saved devices in the field; undefined when they were there. */
  readonly statesSeconds: number | undefined
  /** All stories, by the clock on the wall. */
  readonly storiesSeconds: number
  readonly atATime: number
  readonly stories: readonly {
    readonly name: string
    readonly state: string
    readonly seconds: number
    /** Of these, before the first test. */
    readonly preparationSeconds: number
    readonly referenceSeconds: number | undefined
    /** Ours over the reference's; below 1 is faster. */
    readonly ratio: number | undefined
  }[]
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      'one-at-a-time': { type: 'boolean', default: false },
      fresh: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return void process.stdout.write(help)
  const only = values.only?.split(',') ?? coreStories
  const unknown = only.filter((name) => !coreStories.includes(name))
  if (unknown.length > 0) {
    throw new UserError(`${unknown.join(', ')}: no core story`, {
      hint: `there are: ${coreStories.join(', ')}`,
      exitCode: 2,
    })
  }
  const context = createContext()
  const names = coreStories.filter((name) => only.includes(name))
  const startedMs = performance.now()
  process.env.ATOMIXOS_E2E = await prepareE2e(context, { names, thorough: false })
  const buildSeconds = (performance.now() - startedMs) / 1000
  const statesSeconds = await makeStates(e2eWorkDir(context), names, values.fresh)
  const run = await runE2e(context, {
    ...{ names, thorough: false, stdout: 'stderr' },
    ...(values['one-at-a-time'] && { workers: 1 }),
  })
  const figures = figuresOf(run, {
    buildSeconds,
    statesSeconds,
    atATime: values['one-at-a-time'] ? 1 : storiesAtATime,
  })
  process.stdout.write(values.json ? `${JSON.stringify(figures, undefined, 2)}\n` : report(figures))
  // Times of a story that failed say nothing.
  if (run.counts.failed > 0) process.exitCode = 1
}

/** Seconds; undefined when nothing had to be made. */
async function makeStates(
  workDir: string,
  names: readonly string[],
  fresh: boolean,
): Promise<number | undefined> {
  if (fresh) await rm(join(workDir, 'states'), { recursive: true, force: true })
  // They read at once what has been prepared.
  const { provisionedState } = await import('@atomixos/e2e/provisioned.ts')
  const { pendingState } = await import('@atomixos/e2e/pending.ts')
  const startedMs = performance.now()
  if (names.some((name) => name !== 'rauc-slots')) await provisionedState()
  if (names.includes('rauc-confirm')) await pendingState()
  const seconds = (performance.now() - startedMs) / 1000
  // Looking for them takes some hundredths; making one takes minutes.
  return seconds < 5 ? undefined : seconds
}

function figuresOf(
  run: StoryRun,
  more: Pick<Figures, 'buildSeconds' | 'statesSeconds' | 'atATime'>,
): Figures {
  return {
    ...more,
    storiesSeconds: run.seconds,
    stories: run.stories.map(({ name, state, seconds, preparationSeconds }) => {
      const referenceSeconds = references[name]?.seconds
      const ratio = referenceSeconds === undefined ? undefined : seconds / referenceSeconds
      return { name, state, seconds, preparationSeconds, referenceSeconds, ratio }
    }),
  }
}

function report(figures: Figures): string {
  const { stories, statesSeconds } = figures
  const number = (value: number | undefined, width: number, digits = 0) =>
    (value === undefined ? '-' : value.toFixed(digits)).padStart(width)
  const compared = stories.filter(({ referenceSeconds }) => referenceSeconds !== undefined)
  const sum = (of: (story: Figures['stories'][number]) => number | undefined) =>
    compared.reduce((total, story) => total + (of(story) ?? 0), 0)
  const [ours, theirs] = [sum(({ seconds }) => seconds), sum(({ referenceSeconds }) => referenceSeconds)]
  const at = figures.atATime === 1 ? 'one story at a time' : `${figures.atATime} stories at a time`
  return [
    `${availableParallelism()} cores of ${cpus()[0]?.model ?? 'an unknown processor'}, load when it ended ${loadavg()[0]!.toFixed(1)}`,
    `${at}, with the part of what is tried many times, all by emulation`,
    '',
    `build                    ${number(figures.buildSeconds, 6)} s`,
    statesSeconds === undefined
      ? 'saved devices               -    were there'
      : `saved devices            ${number(statesSeconds, 6)} s  made once for all stories and runs of this image`,
    `the stories              ${number(figures.storiesSeconds, 6)} s`,
    '',
    'seconds  before the first test  reference  ratio  story',
    ...stories.map((story) =>
      [
        number(story.seconds, 7),
        number(story.preparationSeconds, 21),
        number(story.referenceSeconds, 9),
        number(story.ratio, 5, 2),
        `${story.name}${story.state === 'passed' ? '' : ` (${story.state})`}`,
      ].join('  '),
    ),
    ...(compared.length > 0
      ? [
          `${number(ours, 7)}  ${number(undefined, 21)}  ${number(theirs, 9)}  ${number(ours / theirs, 5, 2)}  those with a reference, added up`,
        ]
      : []),
    '',
    'reference: published times of its tests on Linux by emulation, each alone; two were never published. They were',
    'measured on another machine: a ratio tells an order of magnitude. What each of ours does beside or beyond it:',
    ...stories.map(({ name }) => `  ${name}: ${references[name]?.ours ?? ''}`),
  ]
    .join('\n')
    .concat('\n')
}

await runBench(main)
