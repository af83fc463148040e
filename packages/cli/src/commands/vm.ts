import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { environmentCardBytes } from '@atomixos/config'
import { UserError } from '@atomixos/image/errors.ts'
import { createMachine, type MachineOptions, type Programs } from '@atomixos/machine'
import type { Command } from 'commander'
import { InvalidArgumentError } from 'commander'
import { readBuilt } from '../built.ts'
import { consoleShellCredentials } from '../console-shell.ts'
import type { CommandContext } from '../context.ts'
import { joinConsole } from '../join-console.ts'
import { prepareKeptDisk } from '../kept-disk.ts'
import { openMachineTools } from '../machine-tools.ts'

interface VmOptions {
  readonly board: string
  /** Name of the kept disk. */
  readonly keep?: string | true
  readonly forward: readonly Forward[]
  readonly memory: number
  readonly login: boolean
  readonly cpu: 'max' | 'cortex-a53'
}

interface Forward {
  readonly hostPort: number
  readonly guestPort: number
}

/** The eMMC of a Rock64. */
const diskBytes = 16_000_000_000 - (16_000_000_000 % 512)

export function addVm(program: Command, context: CommandContext): void {
  program
    .command('vm')
    .description('boot the built image in QEMU, its serial console in this terminal')
    .option('--board <NAME>', 'which board', 'rock64')
    .option(
      '--keep [NAME]',
      'keep the disk under a name for the next run; otherwise each run starts freshly flashed',
    )
    .option(
      '--forward <HOST:GUEST>',
      'TCP port of 127.0.0.1 that leads to a port of the device (0: any free one)',
      addForward,
      [{ hostPort: 0, guestPort: 22 }],
    )
    .option('--memory <MIB>', 'memory of the machine', parseMemory, 1024)
    .option('--cpu <MODEL>', 'max is fastest under emulation, cortex-a53 is what the Rock64 has', 'max')
    .option('--no-login', 'as on a real device: nobody is logged in on the console')
    .addHelpText(
      'after',
      `
The image is booted as it is. It has no password, so a root shell is put on the console by credentials that
only a hypervisor can pass; a real board knows no such thing.

Ctrl-] ends the machine as a power cut would; \`poweroff\` inside ends it in good order.

Examples:
  ./atomixos vm
  ./atomixos vm --keep --forward 2222:22
  ./atomixos vm --keep lab
`,
    )
    .action((options: VmOptions) => runVm(context, options))
}

async function runVm(context: CommandContext, options: VmOptions): Promise<void> {
  const { reporter, signal, workspace } = context
  const built = await readBuilt(workspace, options.board)
  const programs = await openMachineTools(context)
  const dir = join(workspace.cacheDir, 'machines', machineName(options))
  await mkdir(dir, { recursive: true })
  const machineOptions: MachineOptions = {
    name: 'vm',
    programs,
    dir,
    firmware: built.qemuFirmwarePath,
    ...(options.keep
      ? await keptDisks(dir, built.imagePath, programs)
      : {
          disk: { image: built.imagePath, sizeBytes: diskBytes },
          sdCard: { sizeBytes: environmentCardBytes },
        }),
    cpu: options.cpu,
    memoryBytes: options.memory * 1024 * 1024,
    nics: [{ kind: 'user', restricted: false, forwards: [...options.forward] }],
    agent: false,
    panics: 'expected',
    deadlineMs: 24 * 3600 * 1000,
    ...(options.login ? { credentials: consoleShellCredentials } : {}),
  }
  const machine = await createMachine(machineOptions)
  try {
    await machine.start()
    for (const { guestPort } of options.forward) {
      reporter.info(`127.0.0.1:${machine.forwardedPort(guestPort)} leads to port ${guestPort} of the device`)
    }
    reporter.info('Ctrl-] ends the machine\n')
    await joinConsole(machine, signal)
  } finally {
    await machine.stop()
    if (options.keep) reporter.info(`\nthe disk is kept in ${dir}`)
    else await rm(dir, { recursive: true, force: true })
  }
}

function machineName({ board, keep }: VmOptions): string {
  if (keep === undefined) return `vm-${process.pid}`
  const name = keep === true ? 'default' : keep
  if (/^[a-z0-9][a-z0-9-]*$/.test(name)) return `vm-${board}-kept-${name}`
  throw new UserError(`"${name}" is no name for a kept disk`, {
    hint: 'lower-case letters, digits and hyphens, for example `--keep lab`',
    exitCode: 2,
  })
}

async function keptDisks(
  dir: string,
  imagePath: string,
  programs: Programs,
): Promise<Pick<MachineOptions, 'disk' | 'sdCard'>> {
  const kept = (name: string, from: { image?: string; sizeBytes: number }) =>
    prepareKeptDisk(join(dir, name), from, programs)
  return {
    disk: { file: await kept('kept-disk.img', { image: imagePath, sizeBytes: diskBytes }) },
    sdCard: { file: await kept('kept-environment.img', { sizeBytes: environmentCardBytes }) },
  }
}

function addForward(text: string, previous: readonly Forward[]): Forward[] {
  const match = /^(\d{1,5}):(\d{1,5})$/.exec(text)
  const [hostPort, guestPort] = [Number(match?.[1]), Number(match?.[2])]
  if (!match || hostPort > 65535 || guestPort > 65535 || guestPort === 0) {
    throw new InvalidArgumentError('write it as HOST:GUEST, for example 2222:22')
  }
  return [...previous.filter((forward) => forward.guestPort !== guestPort), { hostPort, guestPort }]
}

function parseMemory(text: string): number {
  const mebibytes = Number(text)
  if (!Number.isInteger(mebibytes) || mebibytes < 256) {
    throw new InvalidArgumentError('a whole number of MiB, at least 256')
  }
  return mebibytes
}
