import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { browserStories, bundlesFor, examplesOfStory, imagesOfStory } from '@atomixos/e2e/bundle-fixtures.ts'
import { coreStories } from '@atomixos/e2e/core-stories.ts'
import type { CampaignSetup } from '@atomixos/e2e/setup.ts'
import { UserError } from '@atomixos/image/errors.ts'
import type { Command } from 'commander'
import { buildAppImages, packExamples } from '../app-images.ts'
import { type Counts, runVitest } from '../checks/vitest.ts'
import type { CommandContext } from '../context.ts'
import { buildBundleFixtures } from '../e2e-bundles.ts'
import { openBrowserTree, openFleetTree, openImageTree, openMachineTree } from '../machine-tools.ts'
import { build } from '../pipeline.ts'
import { belongsTo } from '../stories/last-step.ts'
import { reportVariable, workDirVariable } from '../stories/report-variables.ts'
import type { StoryResult } from '../stories/story-progress.ts'
import { renderSummary, summaryJson } from '../stories/summary.ts'
import { addE2eDebug } from './e2e-debug.ts'

const storyReporterPath = join(import.meta.dirname, '../stories/story-reporter.ts')

const suffix = '.e2e.ts'

interface E2eOptions {
  readonly list?: boolean
  readonly all?: boolean
  readonly thorough?: boolean
  readonly oneAtATime?: boolean
  readonly json?: boolean
}

export function addE2e(program: Command, context: CommandContext): void {
  const command = program
    .command('e2e')
    .description('tell the stories about the built image: real U-Boot, real kernel, in QEMU')
    .argument('[NAME...]', 'which stories; the nine core ones when left out')
    .option('--all', 'every story there is')
    .option('--thorough', 'without NAME: all seeded places of the stories that have many, not a part of them')
    .option('--one-at-a-time', 'instead of three; for times that others do not change')
    .option('--list', 'show what there is')
    .option('--json', 'the result as JSON (with --list: the stories); what is told meanwhile goes to stderr')
    .addHelpText(
      'after',
      `
Builds first what has changed. On a terminal a table shows what each story does, elsewhere each test is a line
when it ends. Logs of machines stay in .atomixos/e2e/NAME. Ctrl-C ends the machines too.

The nine core stories are ${coreStories.slice(0, 5).join(', ')},
${coreStories.slice(5).join(', ')}.

Stories that try the same many times (power cuts, wrong bits, broken releases) do all of it when they are named,
and a part that is the same each time without a name, as in ./atomixos test.

Examples:
  ./atomixos e2e
  ./atomixos e2e --all --thorough
  ./atomixos e2e fresh-flash
  ./atomixos e2e rauc-slots --json
  ./atomixos e2e debug -t rauc-update
`,
    )
    .action(async (names: string[], options: E2eOptions) => {
      if (options.list) return listStories(context, options.json === true)
      if (names.length > 0 && options.all) {
        throw new UserError('--all and names exclude each other', { exitCode: 2 })
      }
      const told = options.all
        ? (await readStories(context.workspace.rootDir)).map(({ name }) => name)
        : names.length > 0
          ? names
          : coreStories
      const thorough = names.length > 0 || options.thorough === true
      const run = await runE2e(context, {
        ...{ names: told, thorough },
        ...(options.oneAtATime && { workers: 1 }),
        ...(options.json && { stdout: 'stderr' as const }),
      })
      const { counts } = run
      if (options.json) {
        process.stdout.write(`${JSON.stringify(summaryJson(run.stories, run), null, 2)}\n`)
      } else {
        process.stdout.write(`\n${renderSummary(run.stories, run)}`)
        process.stdout.write(
          `\n${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`,
        )
      }
      if (counts.failed > 0) process.exitCode = 1
    })
  addE2eDebug(command, context)
}

async function listStories(context: CommandContext, json: boolean): Promise<void> {
  const stories = await readStories(context.workspace.rootDir)
  const text = json
    ? `${JSON.stringify(stories, null, 2)}\n`
    : stories.map((story) => `${story.name.padEnd(20)} ${story.summary}\n`).join('')
  process.stdout.write(text)
}

export interface StoryRun {
  readonly counts: Counts
  readonly stories: readonly StoryResult[]
  readonly thorough: boolean
  readonly buildSeconds: number
  /** Of the stories, without the build. */
  readonly seconds: number
  logsOf(story: string): readonly string[]
}

export async function runE2e(
  context: CommandContext,
  options: {
    readonly names: readonly string[]
    /** All seeded places of the stories that have many; else a part that is the same each time. */
    readonly thorough: boolean
    /** Stories that have not begun by then are skipped; milliseconds since 1970. Default: all are told. */
    readonly beginUntilMs?: number
    /** Of the story `power-campaign`. */
    readonly campaign?: CampaignSetup
    /** 'stderr': what the stories say is talk. */
    readonly stdout?: 'stderr'
    /** Stories at a time. */
    readonly workers?: number
  },
): Promise<StoryRun> {
  const { workspace, signal } = context
  const { names, thorough, beginUntilMs, campaign } = options
  if (!thorough) {
    context.reporter.info(
      'stories that try the same many times do so with a part: with all of it by --thorough, or by ./atomixos e2e NAME',
    )
  }
  await checkStoryNames(context, names)
  const startedMs = performance.now()
  const setupPath = await prepareE2e(context, {
    ...{ names, thorough },
    ...(beginUntilMs !== undefined && { beginUntilMs }),
    ...(campaign && { campaign }),
  })
  const buildSeconds = (performance.now() - startedMs) / 1000
  context.reporter.close()
  const workDir = e2eWorkDir(context)
  const reportPath = join(workDir, 'stories.json')
  // One of an earlier run would be taken for this one's.
  await rm(reportPath, { force: true })
  const counts = await runVitest({
    rootDir: workspace.rootDir,
    project: 'e2e',
    filters: names.map((name) => `e2e/${name}${suffix}`),
    reporter: storyReporterPath,
    env: { ATOMIXOS_E2E: setupPath, [reportVariable]: reportPath, [workDirVariable]: workDir },
    signal,
    ...(options.stdout && { stdout: options.stdout }),
    ...(options.workers !== undefined && { workers: options.workers }),
  })
  const seconds = (performance.now() - startedMs) / 1000 - buildSeconds
  const report = await readFile(reportPath, 'utf8').catch(() => '[]')
  const folders = await readdir(workDir)
  return {
    counts,
    stories: JSON.parse(report) as StoryResult[],
    ...{ thorough, buildSeconds, seconds },
    logsOf: (story) =>
      folders
        .filter((folder) => belongsTo(folder, story))
        .map((folder) => relative(workspace.rootDir, join(workDir, folder))),
  }
}

/** Throws what a person can do something about when one of them is none. */
export async function checkStoryNames(context: CommandContext, names: readonly string[]): Promise<void> {
  const stories = await readStories(context.workspace.rootDir)
  for (const name of names) {
    if (!stories.some((story) => story.name === name)) {
      throw new UserError(`there is no story "${name}"`, {
        hint: `there are: ${stories.map((story) => story.name).join(', ')}`,
        exitCode: 2,
      })
    }
  }
}

/**
 * Builds what machines of these stories need: image, bundles, tree of programs. Path of the file that tells of it, for
 * the variable `ATOMIXOS_E2E`.
 */
export async function prepareE2e(
  context: CommandContext,
  {
    names,
    thorough,
    beginUntilMs,
    campaign,
    setupPath = join(e2eWorkDir(context), 'setup.json'),
  }: {
    readonly names: readonly string[]
    readonly thorough: boolean
    readonly beginUntilMs?: number
    readonly campaign?: CampaignSetup
    /** Where it is written; a second run at the same time has to have another one. */
    readonly setupPath?: string
  },
): Promise<string> {
  const { workspace } = context
  const built = await build(context, { board: 'rock64' })
  const bundles = await buildBundleFixtures(
    context,
    names.flatMap((name) => bundlesFor(name, { thorough })),
  )
  const images = await buildAppImages(
    context,
    names.flatMap((name) => imagesOfStory[name] ?? []),
  )
  const examples = await packExamples(
    context,
    names.flatMap((name) => examplesOfStory[name] ?? []),
  )
  const tree = await openMachineTree(context)
  const imageTree = await openImageTree(context)
  const fleetTree = await openFleetTree(context)
  const browserTree = names.some((name) => browserStories.has(name))
    ? await openBrowserTree(context)
    : undefined
  const workDir = e2eWorkDir(context)
  await mkdir(dirname(setupPath), { recursive: true })
  await writeFile(
    setupPath,
    JSON.stringify(
      {
        rootDir: workspace.rootDir,
        distDir: built.distDir,
        workDir,
        programsDir: tree.dir,
        imageProgramsDir: imageTree.dir,
        fleetProgramsDir: fleetTree.dir,
        browserProgramsDir: browserTree?.dir,
        bundles,
        images,
        examples,
        thorough,
        beginUntilMs,
        campaign,
      },
      null,
      2,
    ),
  )
  return setupPath
}

/** Machines, logs and saved states of the stories. */
export function e2eWorkDir(context: CommandContext): string {
  return join(context.workspace.cacheDir, 'e2e')
}

/** A story is a file in `e2e/`; its first comment says what it tells. */
export async function readStories(rootDir: string): Promise<{ name: string; summary: string }[]> {
  const dir = join(rootDir, 'e2e')
  const files = (await readdir(dir)).filter((name) => name.endsWith(suffix)).sort()
  return Promise.all(
    files.map(async (file) => {
      const text = await readFile(join(dir, file), 'utf8')
      return {
        name: file.slice(0, -suffix.length),
        summary: /^\/\*\* (.*?)(?: \*\/|$)/m.exec(text)?.[1] ?? '',
      }
    }),
  )
}
