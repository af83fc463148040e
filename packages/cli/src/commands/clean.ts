import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Command } from 'commander'
import type { CommandContext } from '../context.ts'

export function addClean(program: Command, context: CommandContext): void {
  program
    .command('clean')
    .description('remove caches and results; downloads stay unless --all')
    .option('--all', 'remove the downloads as well: the next build fetches everything again')
    .option('--keep-dist', 'leave dist/ alone')
    .addHelpText('after', '\nExamples:\n  ./atomixos clean\n  ./atomixos clean --all\n')
    .action(async (options: { all?: boolean; keepDist?: boolean }) => {
      const { cacheDir, distDir } = context.workspace
      const cached = ['steps', 'work', 'packages', 'trees', 'blocks', 'machines', 'e2e', 'lock'].map((name) =>
        join(cacheDir, name),
      )
      const targets = options.all ? [cacheDir] : cached
      if (!options.keepDist) targets.push(distDir)
      for (const target of targets.filter((path) => existsSync(path))) {
        context.signal.throwIfAborted()
        await rm(target, { recursive: true, force: true })
        context.reporter.info(`removed ${target}`)
      }
    })
}
