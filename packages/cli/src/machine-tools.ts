import { join } from 'node:path'
import type { ToolTree } from '@atomixos/image/tools/tools.ts'
import { type Programs, treePrograms } from '@atomixos/machine'
import type { CircumstanceTools } from './commands/verify-reproducible.ts'
import type { CommandContext } from './context.ts'
import { openLockedInputs } from './locked-inputs.ts'
import { openDevelopmentKeys } from './signing.ts'

/** The locked tree with QEMU and what network labs need; fetched and unpacked when it is missing. */
export async function openMachineTree(context: CommandContext): Promise<ToolTree> {
  const inputs = await openLockedInputs(context, { targets: ['tools-machine'] })
  return inputs.toolTree('tools-machine')
}

/** The browser that looks at the device's pages, and a font. */
export async function openBrowserTree(context: CommandContext): Promise<ToolTree> {
  const inputs = await openLockedInputs(context, { targets: ['tools-browser'] })
  return inputs.toolTree('tools-browser')
}

/** What the fleet's server runs: OpenSSH, OpenSSL, the sandbox. */
export async function openFleetTree(context: CommandContext): Promise<ToolTree> {
  const inputs = await openLockedInputs(context, { targets: ['tools-fleet'] })
  return inputs.toolTree('tools-fleet')
}

export async function openFleetTools(context: CommandContext): Promise<Programs> {
  return treePrograms((await openFleetTree(context)).dir)
}

/** The tree that images are built with: file systems, squashfs. */
export async function openImageTree(context: CommandContext): Promise<ToolTree> {
  const inputs = await openLockedInputs(context, { targets: ['tools'] })
  return inputs.toolTree('tools')
}

export async function openMachineTools(context: CommandContext): Promise<Programs> {
  return treePrograms((await openMachineTree(context)).dir)
}

/** Fetches and makes all that two builds share, and gives the programs that disguise them. */
export async function openCircumstanceTools(context: CommandContext): Promise<CircumstanceTools> {
  const inputs = await openLockedInputs(context, { frozen: true })
  for (const { name } of inputs.lock.npm) await inputs.npmPackage(name)
  const tree = await inputs.toolTree('tools')
  await openDevelopmentKeys(context, tree)
  const { loader } = tree.unconfined()
  return {
    oneProcessor: [...loader, join(tree.dir, 'usr/bin/taskset'), '--cpu-list', '0'],
    otherUser: [
      ...loader,
      join(tree.dir, 'usr/bin/bwrap'),
      ...[
        '--unshare-user',
        '--uid',
        '47011',
        '--gid',
        '47011',
        '--bind',
        '/',
        '/',
        '--dev-bind',
        '/dev',
        '/dev',
      ],
    ],
  }
}
