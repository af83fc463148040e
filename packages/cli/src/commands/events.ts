import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { renderEvents } from '@atomixos/config'
import { UserError } from '@atomixos/image/errors.ts'
import type { Command } from 'commander'
import { readBuilt } from '../built.ts'
import type { CommandContext } from '../context.ts'
import { readImageEvents } from '../events/read-image.ts'
import { openMachineTools } from '../machine-tools.ts'

interface EventsOptions {
  readonly image: string
  readonly board: string
  readonly json?: boolean
}

export function addEvents(program: Command, context: CommandContext): void {
  program
    .command('events')
    .description('what happened to a device, read from a copy of its disk')
    .requiredOption('--image <FILE>', 'the whole disk, as dd reads it; it is not changed')
    .option('--board <NAME>', 'whose build has the kernel that mounts it', 'rock64')
    .option('--json', 'the events as JSON')
    .addHelpText(
      'after',
      `
On a device that runs, \`atomixctl events\` tells the same. Here a small machine mounts the copy, with the kernel of
what was built: root is not needed, and what a power cut has left unfinished is found as the device would find it.

Examples:
  ./atomixos events --image device.img
  ./atomixos events --image device.img --json
`,
    )
    .action((options: EventsOptions) => runEvents(context, options))
}

async function runEvents(context: CommandContext, options: EventsOptions): Promise<void> {
  const { reporter, signal, workspace } = context
  const imagePath = resolve(options.image)
  if (!existsSync(imagePath)) {
    throw new UserError(`${options.image} is not there`, {
      hint: 'copy the disk of the device into a file first: docs/logs.md',
      exitCode: 2,
    })
  }
  const built = await readBuilt(workspace, options.board)
  const programs = await openMachineTools(context)
  const task = reporter.task(`mount ${options.image}`)
  try {
    const { events, problems } = await readImageEvents({
      imagePath,
      bootSlotPath: join(built.distDir, 'boot.vfat'),
      programs,
      dir: join(workspace.cacheDir, 'machines', `events-${process.pid}`),
      signal,
    })
    task.done(`${events.length} events`)
    for (const problem of problems) reporter.warn(problem)
    reporter.close()
    process.stdout.write(options.json ? `${JSON.stringify(events, null, 2)}\n` : renderEvents(events))
  } catch (error) {
    task.failed()
    throw error
  }
}
