import { readFileSync } from 'node:fs'
import type { FirmwareSource } from '@atomixos/image/uboot/firmware-source.ts'

const text = (name: string) => readFileSync(new URL(name, import.meta.url), 'utf8')

/** Applied to Debian's U-Boot source, for both firmwares. */
export const ubootPatches: readonly string[] = [text('source.patch')]

/** What each U-Boot is built from, by the name a board's `firmware` list uses. */
export const firmwareSources = {
  rock64: {
    name: 'rock64',
    defconfig: 'rock64-rk3328_defconfig',
    configFragments: [text('common.config'), text('rock64.config')],
    environment: text('selector.env') + text('rock64.env'),
    deviceTreeIncludes: { 'rock64.dtsi': text('rock64.dtsi') },
    trustedFirmware: '/usr/lib/arm-trusted-firmware/rk3328/bl31.elf',
    images: ['idbloader.img', 'u-boot.itb'],
  },
  qemu: {
    name: 'qemu',
    defconfig: 'qemu_arm64_defconfig',
    configFragments: [text('common.config'), text('qemu.config')],
    environment: text('selector.env') + text('qemu.env'),
    images: ['u-boot.bin'],
  },
} as const satisfies Readonly<Record<string, FirmwareSource>>
