import { join } from 'node:path'
import { type Command, InvalidArgumentError } from 'commander'
import { importProblems, readSourceFiles } from '../checks/import-direction.ts'
import { runProgram } from '../checks/run-program.ts'
import { type Counts, runVitest } from '../checks/vitest.ts'
import type { CommandContext } from '../context.ts'
import { openMachineTree } from '../machine-tools.ts'
import { renderSummary } from '../stories/summary.ts'
import { readStories, runE2e, type StoryRun } from './e2e.ts'

interface Check {
  readonly title: string
  run(): Promise<Counts>
}

export function addTest(program: Command, context: CommandContext): void {
  program
    .command('test')
    .description('lint, types, import directions, unit tests, then the VM tests on the built image')
    .option('--quick', 'without the VM tests')
    .option(
      '--thorough',
      'VM tests at all of their seeded places, not at a part of them; with no limit of time',
    )
    .option(
      '--begin-within <MINUTES>',
      'skip, and name, the stories that have not begun by then: a slow host comes to an end as well',
      minutes,
      55,
    )
    .addHelpText(
      'after',
      `
Builds first what the VM tests need. In the end there is a table of the time of each story; the last line counts
everything that ran.

Examples:
  ./atomixos test
  ./atomixos test --quick     a minute, before each commit
  ./atomixos test --thorough  an hour more: all places at which power is cut and bits are wrong
`,
    )
    .action(async (options: { quick?: boolean; thorough?: boolean; beginWithin: number }) => {
      const startedMs = Date.now()
      const checks = quickChecks(context)
      let stories: StoryRun | undefined
      if (!options.quick) {
        checks.push(
          e2eCheck(
            context,
            options.thorough === true
              ? { thorough: true }
              : { thorough: false, beginUntilMs: startedMs + options.beginWithin * 60_000 },
            (run) => {
              stories = run
            },
          ),
        )
      }
      const total = { passed: 0, failed: 0, skipped: 0 }
      const failed: string[] = []
      for (const check of checks) {
        context.signal.throwIfAborted()
        context.reporter.info(`\n── ${check.title}`)
        const counts = await check.run()
        total.passed += counts.passed
        total.failed += counts.failed
        total.skipped += counts.skipped
        if (counts.failed > 0) failed.push(check.title)
      }
      context.reporter.close()
      if (stories !== undefined) process.stdout.write(`\n${renderSummary(stories.stories, stories)}`)
      const late = stories?.stories.filter(({ state }) => state === 'skipped') ?? []
      if (late.length > 0) {
        const names = late.map(({ name }) => name).join(' ')
        context.reporter.info(
          `\nskipped, for they had not begun within ${options.beginWithin} min (--begin-within): ./atomixos e2e ${names}`,
        )
      }
      if (failed.length > 0) context.reporter.info(`\nfailed: ${failed.join(', ')}`)
      process.stdout.write(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped\n`)
      if (total.failed > 0) process.exitCode = 1
    })
}

function minutes(text: string): number {
  if (/^\d{1,4}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('a whole number of minutes')
}

function quickChecks(context: CommandContext): Check[] {
  const { signal } = context
  const { rootDir } = context.workspace
  const bin = (name: string) => join(rootDir, 'node_modules', name)
  const oneProgram = (title: string, argv: [string, ...string[]]): Check => ({
    title,
    run: async () => verdict((await runProgram(argv, { cwd: rootDir, signal })) === 0),
  })
  return [
    oneProgram('lint', [process.execPath, bin('@biomejs/biome/bin/biome'), 'check', '--error-on-warnings']),
    oneProgram('types', [process.execPath, bin('typescript/bin/tsc'), '-p', rootDir]),
    {
      title: 'import directions',
      run: async () => {
        const problems = importProblems(await readSourceFiles(rootDir))
        for (const problem of problems) context.reporter.info(problem)
        return verdict(problems.length === 0)
      },
    },
    {
      title: 'unit tests',
      run: async () => {
        // The machine driver is tested with the QEMU of the lock; without its tree those tests would be skipped.
        const { dir } = await openMachineTree(context)
        return runVitest({ rootDir, project: 'unit', env: { MACHINE_TOOLS: dir }, signal })
      },
    },
  ]
}

function e2eCheck(
  context: CommandContext,
  options: { readonly thorough: boolean; readonly beginUntilMs?: number },
  done: (run: StoryRun) => void,
): Check {
  return {
    title: 'VM tests',
    run: async () => {
      const stories = await readStories(context.workspace.rootDir)
      const run = await runE2e(context, { names: stories.map(({ name }) => name), ...options })
      done(run)
      return run.counts
    },
  }
}

function verdict(passed: boolean): Counts {
  return passed ? { passed: 1, failed: 0, skipped: 0 } : { passed: 0, failed: 1, skipped: 0 }
}
