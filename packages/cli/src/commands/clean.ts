import { existsSync } from 'node:fs'
import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type Command, InvalidArgumentError } from 'commander'
import type { CommandContext } from '../context.ts'

export function addClean(program: Command, context: CommandContext): void {
  program
    .command('clean')
    .description('remove caches and results; downloads stay unless --all')
    .option(
      '--all',
      'remove the downloads as well: the next build fetches everything again; development keys stay',
    )
    .option('--keep-dist', 'leave dist/ alone')
    .option('--unused <DAYS>', 'remove only results that no build wanted for so many days', parseDays)
    .addHelpText(
      'after',
      '\nExamples:\n  ./atomixos clean\n  ./atomixos clean --unused 7\n  ./atomixos clean --all\n',
    )
    .action(async (options: { all?: boolean; keepDist?: boolean; unused?: number }) => {
      if (options.unused !== undefined) {
        const removed = await removeUnused(context.workspace.cacheDir, options.unused, Date.now())
        context.reporter.info(`removed ${removed} results that were not used for ${options.unused} days`)
        return
      }
      const { cacheDir, distDir } = context.workspace
      const cached = [
        'steps',
        'work',
        'packages',
        'trees',
        'blocks',
        'machines',
        'e2e',
        'lock',
        'compile-cache',
      ].map((name) => join(cacheDir, name))
      const targets = options.all ? await allButKeys(cacheDir) : cached
      if (!options.keepDist) targets.push(distDir)
      for (const target of targets.filter((path) => existsSync(path))) {
        context.signal.throwIfAborted()
        await rm(target, { recursive: true, force: true })
        context.reporter.info(`removed ${target}`)
      }
    })
}

/** Without its keys, a device with a development image would take no further update. */
async function allButKeys(cacheDir: string): Promise<string[]> {
  const names = existsSync(cacheDir) ? await readdir(cacheDir) : []
  return names.filter((name) => name !== 'keys').map((name) => join(cacheDir, name))
}

/** Steps and compressed blocks get a new time whenever they are wanted; what is older goes. Gives their number. */
export async function removeUnused(cacheDir: string, days: number, nowMs: number): Promise<number> {
  let removed = 0
  for (const folder of ['steps', 'blocks', 'work']) {
    const dir = join(cacheDir, folder)
    for (const name of existsSync(dir) ? await readdir(dir) : []) {
      const { mtimeMs } = await stat(join(dir, name))
      if (nowMs - mtimeMs < days * 24 * 3600 * 1000) continue
      await rm(join(dir, name), { recursive: true, force: true })
      removed += 1
    }
  }
  return removed
}

function parseDays(text: string): number {
  const days = Number(text)
  if (Number.isInteger(days) && days >= 0) return days
  throw new InvalidArgumentError('a whole number of days')
}
