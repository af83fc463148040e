import { openInputs } from '@atomixos/image/inputs.ts'
import type { ToolTree } from '@atomixos/image/tools/tools.ts'
import type { Programs } from '@atomixos/machine'
import type { CommandContext } from './context.ts'
import { machinePrograms } from './machine-programs.ts'

/** The locked tree with QEMU and what network labs need; fetched and unpacked when it is missing. */
export async function openMachineTree(context: CommandContext): Promise<ToolTree> {
  const inputs = await openInputs(context)
  return inputs.toolTree('tools-machine')
}

export async function openMachineTools(context: CommandContext): Promise<Programs> {
  return machinePrograms(await openMachineTree(context))
}
