import type { Board } from '@atomixos/image/definition/words.ts'
import { qemu } from './boards/qemu.ts'
import { rock64 } from './boards/rock64.ts'

export { initrd } from './initrd/index.ts'
export { gateway } from './modules/index.ts'

/** Every machine that AtomixOS is built for, by name. */
export const boards: Readonly<Record<string, Board>> = { rock64, qemu }
