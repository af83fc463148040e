import { mkdir, rm } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { debugStartOf } from '@atomixos/e2e/debug-start.ts'
import { UserError } from '@atomixos/image/errors.ts'
import type { Command } from 'commander'
import type { CommandContext } from '../context.ts'
import { joinConsole } from '../join-console.ts'
import { runPrompt, withoutPrompt } from '../stories/debug-prompt.ts'
import { debugHelp, debugMachine } from '../stories/debug-words.ts'
import { checkStoryNames, e2eWorkDir, prepareE2e } from './e2e.ts'

interface DebugOptions {
  readonly test: string
  readonly keep?: boolean
  readonly boot?: boolean
}

export function addE2eDebug(e2e: Command, context: CommandContext): void {
  e2e
    .command('debug')
    .description("a prompt with a story's machine, prepared as for the story")
    .option('-t, --test <STORY>', 'which story', 'rauc-slots')
    .option('--keep', 'keep disk and card, and begin with them next time')
    .option('--boot', 'begin with a machine that is off, as flashed, whatever the story begins with')
    .addHelpText(
      'after',
      `
The machine is the one that the story begins with: off and freshly flashed, or a running copy of a device in the
field. At the prompt everything works that stories use: gateway.start(), gateway.waitForUnit(), gateway.succeed(),
gateway.shell(), gateway.screenshot(); help() shows more. What takes time is waited for. Lines may come from a
file as well. Machine and networks are gone when the prompt is left.

Examples:
  ./atomixos e2e debug
  ./atomixos e2e debug -t rauc-update
  ./atomixos e2e debug -t rauc-slots --keep
`,
    )
    .action((options: DebugOptions) => runDebug(context, options))
}

async function runDebug(context: CommandContext, options: DebugOptions): Promise<void> {
  const { reporter, signal, workspace } = context
  const story = options.test
  await checkStoryNames(context, [story])
  const start = options.boot ? 'flashed' : debugStartOf(story)
  const dir = join(e2eWorkDir(context), `debug-${process.pid}`)
  const keptDir = options.keep ? join(workspace.cacheDir, 'machines', `debug-kept-${story}`) : undefined
  if (options.boot && options.keep) {
    throw new UserError('--boot and --keep exclude each other', {
      hint: 'a kept disk begins switched off anyway',
      exitCode: 2,
    })
  }
  // The modules of stories look at it when they are loaded.
  process.env.ATOMIXOS_E2E = await prepareE2e(context, {
    // Saved devices in the field have the next release lying on them.
    names: start === 'flashed' ? [story] : [story, 'rauc-update'],
    thorough: false,
    // Stories may be told meanwhile.
    setupPath: join(dir, 'setup.json'),
  })
  const { debugGateway } = await import('@atomixos/e2e/debug-gateway.ts')
  const { deviceEvents, deviceStatus } = await import('@atomixos/e2e/gateway.ts')
  const { bundlePath } = await import('@atomixos/e2e/setup.ts')
  if (keptDir !== undefined) await mkdir(keptDir, { recursive: true })
  try {
    reporter.info('preparing the machine; a saved one takes minutes when it has to be made')
    const device = await debugGateway({ start, dir, keptDir })
    try {
      const gateway = debugMachine(device.gateway, {
        dir: workspace.rootDir,
        join: (machine) => inTerminal(() => joinConsole(machine, signal)),
      })
      reporter.close()
      reporter.info(`\ngateway of ${story}: ${device.begin}. help() shows what to say, Ctrl-D leaves.`)
      await runPrompt({
        prompt: 'debug> ',
        signal,
        words: {
          ...{ gateway, network: device.network, bundle: bundlePath },
          status: () => deviceStatus(device.gateway),
          events: () => deviceEvents(device.gateway),
          help: () => debugHelp(story),
        },
      })
    } finally {
      await device[Symbol.asyncDispose]()
    }
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
  signal.throwIfAborted()
  reporter.info(
    keptDir === undefined
      ? 'the machine is gone'
      : `the disk is kept in ${relative(workspace.rootDir, keptDir)}`,
  )
}

async function inTerminal(run: () => Promise<void>): Promise<void> {
  if (!process.stdin.isTTY || !process.stdout.isTTY) {
    throw new Error('gateway.shell() needs a terminal; gateway.succeed() does not')
  }
  process.stderr.write('Ctrl-] comes back to the prompt\n')
  await withoutPrompt(process.stdin, run)
}
