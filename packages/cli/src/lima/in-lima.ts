import { execFile } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { UserError } from '@atomixos/image/errors.ts'
import type { Command } from 'commander'
import { runProgram } from '../checks/run-program.ts'
import type { CommandContext } from '../context.ts'
import { defaultVmName, limaCalls, limaConfig, renderLimaConfig } from './lima-config.ts'

/** The command was run in a virtual machine instead; not an error, but the end of the command here. */
export class RanInVm extends Error {
  override readonly name = 'RanInVm'
  readonly exitCode: number
  constructor(exitCode: number) {
    super('the command ran in a virtual machine')
    this.exitCode = exitCode
  }
}

/** Options for commands that need Linux: `--lima` sends them into a virtual machine, and on macOS nothing else can. */
export function addLimaOptions(command: Command, context: CommandContext): void {
  command
    .option('--lima', 'in a virtual machine of Lima; always so on macOS')
    .option('--vm <NAME>', 'the name of that machine; made when there is none', defaultVmName)
    .hook('preAction', async (thisCommand) => {
      const { lima, vm } = thisCommand.opts<{ lima?: boolean; vm: string }>()
      if (lima || process.platform === 'darwin') throw new RanInVm(await runInLima(context, vm))
    })
}

async function runInLima(context: CommandContext, name: string): Promise<number> {
  if (!/^[a-z0-9][a-z0-9-]*$/.test(name)) {
    throw new UserError(`"${name}" is no name for a virtual machine`, {
      hint: 'lower-case letters, digits and hyphens, for example `--vm my-builder`',
      exitCode: 2,
    })
  }
  const { rootDir, cacheDir } = context.workspace
  const exists = (await machineNames()).includes(name)
  const configPath = join(cacheDir, 'lima', `${name}.yaml`)
  if (!exists) {
    await mkdir(join(cacheDir, 'lima'), { recursive: true })
    await writeFile(configPath, renderLimaConfig(limaConfig({ rootDir, cpus: availableParallelism() })))
    context.reporter.info(`making the virtual machine "${name}", once; a few minutes`)
  }
  const { start, run } = limaCalls({
    ...{ name, exists, configPath, rootDir },
    ...{ args: process.argv.slice(2), env: process.env },
  })
  const limactl = (args: readonly string[], stdout?: 'stderr') =>
    runProgram(['limactl', ...args], { cwd: rootDir, signal: context.signal, ...(stdout && { stdout }) })
  if ((await limactl(start, 'stderr')) !== 0) {
    throw new UserError(`the virtual machine "${name}" did not start`, {
      hint: `Lima says why above; \`limactl delete ${name}\` removes it, and the next command makes it again`,
    })
  }
  return limactl(run)
}

async function machineNames(): Promise<string[]> {
  try {
    const { stdout } = await promisify(execFile)('limactl', ['list', '--quiet'])
    return stdout.split('\n')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      throw new UserError('limactl is not on PATH; this runs in a virtual machine of Lima', {
        hint: 'install Lima 2.0 or newer, on macOS with `brew install lima`',
      })
    }
    throw new UserError('limactl list failed', {
      hint: String((error as { stderr?: string }).stderr ?? error).trim(),
    })
  }
}
