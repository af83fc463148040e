/** The two slots and the names under which U-Boot, RAUC and the kernel command line know them. */

export type SlotName = 'A' | 'B'

/** U-Boot's environment variables that choose the slot. */
export const bootVariables = {
  order: 'BOOT_ORDER',
  triesLeft: { A: 'BOOT_A_LEFT', B: 'BOOT_B_LEFT' },
  state: { A: 'SLOT_A_STATE', B: 'SLOT_B_STATE' },
} as const

/** Kernel argument by which the selector tells the system which slot it is. */
export const slotArgument = 'rauc.slot'

/** The slot of a kernel command line, or undefined when it was not booted by our selector. */
export function slotOfCommandLine(commandLine: string): SlotName | undefined {
  const value = commandLine
    .split(/\s+/)
    .find((argument) => argument.startsWith(`${slotArgument}=`))
    ?.slice(slotArgument.length + 1)
  return value === 'A' || value === 'B' ? value : undefined
}
