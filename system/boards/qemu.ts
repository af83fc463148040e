import type { Board } from '@atomixos/image/definition/words.ts'
import { rock64 } from './rock64.ts'

/**
 * QEMU's virt machine as a target of its own: the very same root, initrd and kernel arguments, no device tree (QEMU
 * makes it) and no firmware inside the image.
 */
export const qemu: Board = {
  ...rock64,
  name: 'qemu',
  compatible: ['linux,dummy-virt'],
  deviceTrees: [],
  firmware: [{ name: 'qemu', defconfig: 'qemu_arm64_defconfig', flashed: false }],
}
