/**
 * Where U-Boot keeps its environment, and which variables it reads from there. Builder, device and tests
 * agree on it here; the firmware that is built is checked against it.
 */

export interface BootEnvironment {
  /** The device as Linux names it. */
  readonly device: string
  /** Of the two copies: one is always whole while the other is being written. */
  readonly offsetsBytes: readonly [number, number]
  readonly copyBytes: number
  /** Smallest erasable piece; undefined where bytes can simply be overwritten. */
  readonly sectorBytes: number | undefined
}

/** By firmware. On both the environment is on a device of its own, away from the system disk. */
export const bootEnvironments = {
  /** SPI NOR flash of 16 MiB, otherwise unused. */
  rock64: {
    device: '/dev/mtd0',
    offsetsBytes: [0xf00000, 0xf10000],
    copyBytes: 0x2000,
    sectorBytes: 0x1000,
  },
  /** SD card behind a PCI controller. */
  qemu: {
    device: '/dev/mmcblk0',
    offsetsBytes: [0x0, 0x80000],
    copyBytes: 0x4000,
    sectorBytes: undefined,
  },
} as const satisfies Readonly<Record<string, BootEnvironment>>

/** Of QEMU's environment card; the emulator accepts powers of two only. Zeros are a new machine. */
export const environmentCardBytes = 1024 * 1024

/**
 * All variables that U-Boot takes from storage, with the type it insists on: s(tring), d(ecimal), b(oolean).
 * Whatever else is stored is ignored.
 */
export const storedVariables = {
  BOOT_ORDER: 's',
  BOOT_A_LEFT: 'd',
  BOOT_B_LEFT: 'd',
  SLOT_A_STATE: 's',
  SLOT_B_STATE: 's',
  _RUT_OH_: 'b',
  START_UMS: 'b',
  WATCHDOG: 'b',
} as const

/** Tries a counter can hold: RAUC writes it in hexadecimal, U-Boot reads decimal, up to here they agree. */
export const triesLimit = 9

/**
 * Values of SLOT_A_STATE and SLOT_B_STATE. The device writes them, but for `revived`: U-Boot writes that when
 * all tries of all slots are spent and the confirmed slot gets one more, alone. At most one slot is `confirmed`; the one
 * that was confirmed before it is `previous`, the way back.
 */
export const slotStates = ['pending', 'confirmed', 'previous', 'failed', 'revived'] as const

export type SlotState = (typeof slotStates)[number]

/** Kernel argument of the one boot that follows `_RUT_OH_=1`. */
export const rescueArgument = 'atomixos.rescue=1'

/** `/etc/fw_env.config` for libubootenv. */
export function fwEnvConfig(environment: BootEnvironment): string {
  return environment.offsetsBytes
    .map((offset) =>
      [environment.device, hex(offset), hex(environment.copyBytes)]
        .concat(environment.sectorBytes === undefined ? [] : hex(environment.sectorBytes))
        .join(' '),
    )
    .map((line) => `${line}\n`)
    .join('')
}

/** `/etc/u-boot-initial-env`: what libubootenv starts from when neither copy can be read. U-Boot's own defaults. */
export const initialEnvironment = 'BOOT_ORDER=A B\nBOOT_A_LEFT=3\nBOOT_B_LEFT=3\n'

function hex(value: number): string {
  return `0x${value.toString(16)}`
}
