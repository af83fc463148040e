import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { bundlesOfStory, examplesOfStory, imagesOfStory } from '@atomixos/e2e/bundle-fixtures.ts'
import type { CampaignSetup } from '@atomixos/e2e/setup.ts'
import { UserError } from '@atomixos/image/errors.ts'
import type { Command } from 'commander'
import { buildAppImages, packExamples } from '../app-images.ts'
import { type Counts, runVitest } from '../checks/vitest.ts'
import type { CommandContext } from '../context.ts'
import { buildBundleFixtures } from '../e2e-bundles.ts'
import { openFleetTree, openImageTree, openMachineTree } from '../machine-tools.ts'
import { build } from '../pipeline.ts'

const suffix = '.e2e.ts'

export function addE2e(program: Command, context: CommandContext): void {
  program
    .command('e2e')
    .description('tell the stories about the built image: real U-Boot, real kernel, in QEMU')
    .argument('[NAME...]', 'which stories; all of them when left out')
    .option('--list', 'show what there is')
    .option('--json', 'with --list: as JSON')
    .addHelpText(
      'after',
      `
Builds first what has changed. Logs of machines stay in .atomixos/e2e/. Stories that try the same many
times do all of it here, and a part in ./atomixos test.

Examples:
  ./atomixos e2e
  ./atomixos e2e fresh-flash
`,
    )
    .action(async (names: string[], options: { list?: boolean; json?: boolean }) => {
      if (options.list) {
        const stories = await readStories(context.workspace.rootDir)
        const text = options.json
          ? `${JSON.stringify(stories, null, 2)}\n`
          : stories.map((story) => `${story.name.padEnd(20)} ${story.summary}\n`).join('')
        process.stdout.write(text)
        return
      }
      const counts = await runE2e(context, { names, thorough: true })
      process.stdout.write(`\n${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`)
      if (counts.failed > 0) process.exitCode = 1
    })
}

export async function runE2e(
  context: CommandContext,
  options: {
    readonly names: readonly string[]
    /** All seeded places of the stories that have many; else a part that is the same each time. */
    readonly thorough: boolean
    /** Of the story `power-campaign`. */
    readonly campaign?: CampaignSetup
    /** 'stderr': what the stories say is talk. */
    readonly stdout?: 'stderr'
  },
): Promise<Counts> {
  const { workspace, signal } = context
  if (!options.thorough) {
    context.reporter.info(
      'stories that try the same many times do so with a part: with all of it by --thorough, or by ./atomixos e2e NAME',
    )
  }
  const stories = await readStories(workspace.rootDir)
  for (const name of options.names) {
    if (!stories.some((story) => story.name === name)) {
      throw new UserError(`there is no story "${name}"`, {
        hint: `there are: ${stories.map((story) => story.name).join(', ')}`,
        exitCode: 2,
      })
    }
  }
  const told = options.names.length > 0 ? options.names : stories.map((story) => story.name)
  const { thorough, campaign } = options
  const setupPath = await prepareE2e(context, {
    names: told,
    thorough,
    ...(campaign && { campaign }),
  })
  return runVitest({
    rootDir: workspace.rootDir,
    project: 'e2e',
    filters: options.names.map((name) => `e2e/${name}${suffix}`),
    env: { ATOMIXOS_E2E: setupPath },
    signal,
    ...(options.stdout && { stdout: options.stdout }),
  })
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
    campaign,
  }: { readonly names: readonly string[]; readonly thorough: boolean; readonly campaign?: CampaignSetup },
): Promise<string> {
  const { workspace } = context
  const built = await build(context, { board: 'rock64' })
  const bundles = await buildBundleFixtures(
    context,
    names.flatMap((name) => bundlesOfStory[name] ?? []),
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
  const workDir = e2eWorkDir(context)
  await mkdir(workDir, { recursive: true })
  const setupPath = join(workDir, 'setup.json')
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
        bundles,
        images,
        examples,
        thorough,
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
async function readStories(rootDir: string): Promise<{ name: string; summary: string }[]> {
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
