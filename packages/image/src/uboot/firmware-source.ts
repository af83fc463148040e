/** What one U-Boot is built from, beside U-Boot's own source. Texts, so that an identity can be made of them. */
export interface FirmwareSource {
  /** As in a board's list of firmwares; one of the known `bootEnvironments`. */
  readonly name: 'rock64' | 'qemu'
  /** File below U-Boot's configs/. */
  readonly defconfig: string
  /** Kconfig lines that override the defconfig, later ones earlier ones. Each must hold in the finished .config. */
  readonly configFragments: readonly string[]
  /** Default environment in U-Boot's .env syntax; goes through the C preprocessor. */
  readonly environment: string
  /** Files of CONFIG_DEVICE_TREE_INCLUDES by name; seen at /declarations/NAME. */
  readonly deviceTreeIncludes?: Readonly<Record<string, string>>
  /** Path of BL31 in the arm-trusted-firmware package, for boards that U-Boot starts on from power-on. */
  readonly trustedFirmware?: string
  /** Files of the build that are the firmware. */
  readonly images: readonly ('idbloader.img' | 'u-boot.itb' | 'u-boot.bin')[]
}
