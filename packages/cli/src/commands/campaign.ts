import { existsSync } from 'node:fs'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type Defect, defects } from '@atomixos/e2e/power-campaign/recording.ts'
import type { CampaignReport, Totals } from '@atomixos/e2e/power-campaign/report.ts'
import { UserError } from '@atomixos/image/errors.ts'
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { CommandContext } from '../context.ts'
import { e2eWorkDir, runE2e } from './e2e.ts'

const story = 'power-campaign'

interface PowerOptions {
  readonly points: number
  readonly seed: number
  readonly boots?: number
  readonly seedDefect?: Defect
  readonly json?: boolean
}

/** `report.json`, as far as it is printed. */
interface Written extends CampaignReport {
  readonly summary: {
    readonly good: boolean
    readonly total: Totals
    readonly byPhase: Readonly<Record<string, Totals>>
  }
}

export function addCampaign(program: Command, context: CommandContext): void {
  const campaign = program
    .command('campaign')
    .description('break the built image at very many places')
    .addHelpText('after', '\nExamples:\n  ./atomixos campaign power --points 1000\n')
  campaign
    .command('power')
    .description('record every write of a device, and cut the power at seeded places of the recording')
    .option('--points <N>', 'how many places', numberFrom(1), 1000)
    .option('--seed <S>', 'the same places for the same seed', numberFrom(1), 20261127)
    .option(
      '--boots <N>',
      'how many of them are started for real, about a minute each (default: 10)',
      numberFrom(0),
    )
    .addOption(
      new Option('--seed-defect <NAME>', 'put a defect into the recording: the campaign must fail').choices(
        defects,
      ),
    )
    .option('--json', 'the whole report on standard output')
    .addHelpText(
      'after',
      `
Builds first what has changed. The recording is made once for an image (a first boot, an update, its confirmation,
changes of the configuration, a factory reset: ten minutes and more) and used again. JSON and a page with all points are left in .atomixos/e2e/power-campaign/.
docs/campaign.md says what is recorded, how it is cut and what is checked.

Examples:
  ./atomixos campaign power
  ./atomixos campaign power --points 200 --seed 7 --boots 0
  ./atomixos campaign power --points 50 --boots 0 --seed-defect single-environment
`,
    )
    .action(async (options: PowerOptions) => {
      if ((options.boots ?? 0) > options.points) {
        throw new UserError(`${options.boots} of ${options.points} points cannot be started`, {
          hint: 'give --boots a number that is not larger than that of --points',
          exitCode: 2,
        })
      }
      await runPower(context, options)
    })
}

async function runPower(context: CommandContext, options: PowerOptions): Promise<void> {
  const { points, seed, boots = Math.min(10, points), seedDefect } = options
  const dir = join(e2eWorkDir(context), story)
  const path = (name: string) => join(dir, name)
  // A report of an earlier campaign would be taken for this one's.
  await rm(path('report.json'), { force: true })
  const { counts } = await runE2e(context, {
    ...{ names: [story], thorough: true, stdout: 'stderr' },
    campaign: { points, seed, boots, ...(seedDefect && { defect: seedDefect }) },
  })
  if (counts.failed > 0) process.exitCode = 1
  if (!existsSync(path('report.json'))) {
    throw new UserError('the campaign ended before there was a report', {
      hint: `the reason is above; machine logs are in ${dir} and in ${join(e2eWorkDir(context), 'recordings')}`,
    })
  }
  const text = await readFile(path('report.json'), 'utf8')
  process.stdout.write(options.json ? text : renderSummary(JSON.parse(text) as Written, path('report.html')))
}

function renderSummary({ summary, boots, defects: runs }: Written, pagePath: string): string {
  const row = (name: string, { points, whole, torn, bricks, missed }: Totals) =>
    `${name.padEnd(16)}${[points, whole, torn, bricks, missed].map((n) => String(n).padStart(8)).join('')}\n`
  const wrong = boots.filter(({ problem }) => problem !== undefined)
  return [
    `\n${''.padEnd(16)}${['points', 'whole', 'torn', 'bricks', 'missed'].map((name) => name.padStart(8)).join('')}\n`,
    ...Object.entries(summary.byPhase).map(([phase, totals]) => row(phase, totals)),
    row('all', summary.total),
    `\n${boots.length - wrong.length} of ${boots.length} came up as foretold\n`,
    ...wrong.map(({ number, problem }) => `  point ${number}: ${problem}\n`),
    ...runs.map((run) => `defect ${run.defect}: found at ${run.torn + run.bricks} of ${run.points} points\n`),
    `${summary.good ? 'good' : 'NOT good'}; all points: ${pagePath}\n`,
  ].join('')
}

function numberFrom(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (!/^\d+$/.test(text) || value < least || value > 2 ** 31 - 1) {
      throw new InvalidArgumentError(`It must be a whole number, ${least} or more.`)
    }
    return value
  }
}
