import type { Board } from '@atomixos/image/definition/words.ts'
import { initrd } from '../initrd/index.ts'
import { rock64Drivers } from '../initrd/rock64-drivers.ts'
import { gateway } from '../modules/index.ts'

/**
 * The product. The same disk image boots on QEMU's virt machine with the `qemu` firmware given from outside: only
 * the firmware differs, so the firmware for tests is built with the board.
 */
export const rock64: Board = {
  name: 'rock64',
  compatible: ['pine64,rock64', 'rockchip,rk3328'],
  rootfs: gateway,
  initrd,
  deviceTrees: ['rockchip/rk3328-rock64.dtb'],
  drivers: rock64Drivers,
  kernelArguments: [
    // A panic is a failed start: count it and try again. The backup GPT serves when the first is damaged.
    ...['panic=10', 'gpt'],
    ...['quiet', 'loglevel=4', 'systemd.show_status=false'],
    // Of Debian's ten those that programs here may ask for. tomoyo and ipe have no policy; with bpf systemd loads a
    // program of its own at each start, for a setting (RestrictFileSystems=) that no unit has: docs/boot.md.
    'lsm=lockdown,landlock,yama,apparmor',
    // What a start need not do: fifty ciphers tried on known texts, and eight loop devices made before somebody asks
    // for one: docs/boot.md.
    ...['cryptomgr.notests', 'loop.max_loop=0'],
  ],
  firmware: [
    { name: 'rock64', defconfig: 'rock64-rk3328_defconfig', flashed: true },
    { name: 'qemu', defconfig: 'qemu_arm64_defconfig', flashed: false },
  ],
}
