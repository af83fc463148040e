import { relative } from 'node:path'
import { type Command, InvalidArgumentError } from 'commander'
import type { CommandContext } from '../context.ts'
import { build } from '../pipeline.ts'

interface BuildCommandOptions {
  readonly board: string
  readonly level?: number
  readonly frozen?: boolean
  readonly json?: boolean
}

export function addBuild(program: Command, context: CommandContext): void {
  program
    .command('build')
    .description('make the flashable image and everything beside it')
    .option('--board <NAME>', 'which board', 'rock64')
    .option(
      '--level <N>',
      'zstd level of the root file system, 1 to 22: 3 is quick; left out: as for a release',
      parseLevel,
    )
    .option('--frozen', 'refuse when a locked package is gone, instead of resolving that target again')
    .option('--json', 'the manifest on standard output')
    .addHelpText(
      'after',
      `
Only what changed is made again. Results are in dist/BOARD/.

Examples:
  ./atomixos build
  ./atomixos build --level 3
  ./atomixos build --json | jq '.artifacts[].sha256'
`,
    )
    .action(async (options: BuildCommandOptions) => {
      const started = Date.now()
      const built = await build(context, {
        board: options.board,
        frozen: options.frozen === true,
        ...(options.level === undefined ? {} : { level: options.level }),
      })
      context.reporter.close()
      if (options.json) {
        process.stdout.write(`${JSON.stringify(built.manifest, null, 2)}\n`)
        return
      }
      const dir = relative(process.cwd(), built.distDir) || '.'
      const seconds = ((Date.now() - started) / 1000).toFixed(1)
      process.stdout.write(`\n${dir}/ (${built.changed ? 'made' : 'unchanged'}, ${seconds} s)\n`)
      for (const file of built.files) {
        process.stdout.write(
          `  ${file.name.padEnd(36)} ${(file.sizeBytes / 1e6).toFixed(1).padStart(8)} MB\n`,
        )
      }
      process.stdout.write('\nNext: `./atomixos vm` boots it here, `./atomixos test` tests it.\n')
    })
}

function parseLevel(text: string): number {
  const level = Number(text)
  if (Number.isInteger(level) && level >= 1 && level <= 22) return level
  throw new InvalidArgumentError('a whole number from 1 to 22')
}
