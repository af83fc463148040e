import { bootEnvironments, firmwareSectors, partitions, sectorBytes, storedVariables } from '@atomixos/config'
import { controlTreeProblems } from './control-tree-problems.ts'
import { parseDeviceTree } from './device-tree.ts'
import type { FirmwareSource } from './firmware-source.ts'
import { type Fit, parseFit } from './fit-image.ts'
import { configLine, parseConfig } from './kernel-config.ts'
import type { UbootBuild } from './uboot-build.ts'

/**
 * What is wrong with a firmware as it was built, one sentence each; none when it may be flashed. Looks at the
 * result only, so that a slip in the declarations is found as surely as one in the build.
 */
export function firmwareProblems(firmware: FirmwareSource, build: UbootBuild): string[] {
  return [
    ...configProblems(firmware, build),
    ...environmentProblems(build),
    ...(firmware.name === 'rock64' ? rock64Problems(build) : qemuProblems(build)),
  ].map((problem) => `firmware ${firmware.name}: ${problem}`)
}

const always = {
  CONFIG_ENV_WRITEABLE_LIST: 'y',
  CONFIG_SYS_REDUNDAND_ENVIRONMENT: 'y',
  CONFIG_BOOTCOMMAND: '"run ab_boot; reset"',
  CONFIG_AUTOBOOT_KEYED: 'y',
  CONFIG_AUTOBOOT_KEYED_CTRLC: undefined,
  CONFIG_AUTOBOOT_DELAY_STR: '"halt!"',
  CONFIG_BOOT_RETRY_TIME: '600',
  CONFIG_RESET_TO_RETRY: 'y',
  CONFIG_USE_PREBOOT: undefined,
  CONFIG_PANIC_HANG: undefined,
  CONFIG_HUSH_PARSER: 'y',
  CONFIG_CMD_BOOTI: 'y',
  // bootm_init() of 2025.01 leaves booti without its notes when this is off.
  CONFIG_CMD_BOOTM: 'y',
  CONFIG_HASH_VERIFY: 'y',
  CONFIG_SHA256: 'y',
  CONFIG_ARMV8_CE_SHA256: 'y',
  CONFIG_SUPPORT_RAW_INITRD: 'y',
  CONFIG_PARTITION_UUIDS: 'y',
  CONFIG_NO_NET: 'y',
  CONFIG_EFI_LOADER: undefined,
  CONFIG_BOOTSTD: undefined,
} as const

const byFirmware = {
  rock64: {
    CONFIG_ENV_IS_IN_SPI_FLASH: 'y',
    CONFIG_ENV_IS_IN_MMC: undefined,
    CONFIG_CMD_USB_MASS_STORAGE: 'y',
    CONFIG_USB_GADGET_DWC2_OTG: 'y',
    CONFIG_DM_USB_GADGET: 'y',
    CONFIG_PHY_ROCKCHIP_INNO_USB2: 'y',
    CONFIG_CMD_BUTTON: 'y',
    CONFIG_BUTTON_GPIO: 'y',
    CONFIG_MISC_INIT_R: 'y',
    CONFIG_ROCKCHIP_EFUSE: 'y',
    CONFIG_BOARD_RNG_SEED: 'y',
    CONFIG_ROCKCHIP_BOOT_MODE_REG: '0x0',
    CONFIG_SYS_MMCSD_RAW_MODE_U_BOOT_SECTOR: `0x${firmwareSectors.ubootItb.toString(16)}`,
    CONFIG_SPL_FIT_SIGNATURE: 'y',
  },
  qemu: { CONFIG_ENV_IS_IN_MMC: 'y', CONFIG_ENV_IS_IN_FLASH: undefined, CONFIG_SYS_MMC_ENV_DEV: '0' },
} as const

function configProblems(firmware: FirmwareSource, build: UbootBuild): string[] {
  const config = parseConfig(build.config)
  const { offsetsBytes, copyBytes, sectorBytes } = bootEnvironments[firmware.name]
  const wanted: Record<string, string | undefined> = { ...always, ...byFirmware[firmware.name] }
  const problems = Object.entries(wanted)
    .filter(([name, value]) => config.get(name) !== value)
    .map(([name, value]) => `its configuration lacks "${configLine(name, value)}"`)
  const places: Record<string, number | undefined> = {
    CONFIG_ENV_OFFSET: offsetsBytes[0],
    CONFIG_ENV_OFFSET_REDUND: offsetsBytes[1],
    CONFIG_ENV_SIZE: copyBytes,
    ...(sectorBytes !== undefined && { CONFIG_ENV_SECT_SIZE: sectorBytes }),
  }
  for (const [name, bytes] of Object.entries(places)) {
    if (Number(config.get(name)) === bytes) continue
    problems.push(`${name} is ${config.get(name)}, but the device looks for the environment at ${bytes}`)
  }
  return problems
}

/** `ab_boot` and all it runs, in the order of their use. */
const selector = [
  'ab_boot',
  'ab_recover',
  'ab_order',
  'ab_round',
  'ab_slot_A',
  'ab_slot_B',
  'ab_spend',
  'ab_try',
  'ab_revive',
]
const boardVariables = [
  'ab_if',
  'ab_dev',
  'board_button',
  'board_ums',
  'console',
  'scriptaddr',
  'kernel_addr_r',
]

function environmentProblems(build: UbootBuild): string[] {
  const { environment, environmentBlock } = build
  const problems = [...selector, ...boardVariables]
    .filter((name) => !environment.get(name))
    .map((name) => `its built-in environment lacks ${name}`)
  const attempt = environment.get('ab_try') ?? ''
  if (!(attempt.indexOf('saveenv') >= 0 && attempt.indexOf('saveenv') < attempt.indexOf('load '))) {
    problems.push('the selector does not put a try on record before it reads the slot')
  }
  for (const slot of ['a', 'b'] as const) {
    const [boot, root] = [`boot-${slot}`, `rootfs-${slot}`].map(
      (label) => partitions.find((partition) => partition.label === label)?.number,
    )
    const text = environment.get(`ab_slot_${slot.toUpperCase()}`) ?? ''
    if (!text.includes(`setenv slot_boot ${boot}; setenv slot_root ${root};`)) {
      problems.push(
        `the selector does not take slot ${slot.toUpperCase()} from partitions ${boot} and ${root}`,
      )
    }
  }
  const { copyBytes } = bootEnvironments.rock64
  // Values set at run time (kernel arguments above all) are stored with it: leave half of a copy for them.
  if (environmentBlock.length > copyBytes / 2) {
    problems.push(
      `its built-in environment has ${environmentBlock.length} bytes, too many for a copy of ${copyBytes}`,
    )
  }
  return problems
}

/** The program that runs the selector: the built-in environment and the list of stored variables are in it. */
function programProblems(program: Buffer, build: UbootBuild): string[] {
  const flags = Object.entries(storedVariables).map(([name, type]) => `${name}:${type}w`)
  return [
    ...(program.includes(build.environmentBlock)
      ? []
      : ['its program does not hold the built-in environment']),
    // The list begins a string or follows U-Boot's own entries, and ends it: nothing else is writeable.
    ...(program.includes(`${flags.join(',')}\0`)
      ? []
      : [`its program does not take just ${Object.keys(storedVariables).join(', ')} from storage`]),
  ]
}

function qemuProblems(build: UbootBuild): string[] {
  return programProblems(build.images.get('u-boot.bin')!, build)
}

/** RC4 of the boot ROM's magic number 0x0ff0aa55 with Rockchip's published key: how each RK33xx header begins. */
const rockchipMagic = Buffer.from('3b8cdcfc', 'hex')

function rock64Problems(build: UbootBuild): string[] {
  const problems: string[] = []
  const loader = build.images.get('idbloader.img')!
  if (!loader.subarray(0, 4).equals(rockchipMagic))
    problems.push('idbloader.img has no header for the boot ROM')
  const loaderRoom = (firmwareSectors.ubootItb - firmwareSectors.idbloader) * sectorBytes
  if (loader.length > loaderRoom)
    problems.push(`idbloader.img is ${loader.length} bytes long, there is room for ${loaderRoom}`)

  const image = build.images.get('u-boot.itb')!
  const imageRoom = partitions[0]!.offsetBytes - firmwareSectors.ubootItb * sectorBytes
  if (image.length > imageRoom)
    problems.push(`u-boot.itb is ${image.length} bytes long, there is room for ${imageRoom}`)
  let fit: Fit
  try {
    fit = parseFit(image)
  } catch (error) {
    return [...problems, `u-boot.itb can not be read: ${(error as Error).message}`]
  }
  for (const part of fit.parts.values()) {
    if (!part.hashHolds) problems.push(`u-boot.itb: "${part.name}" has no SHA-256, or a wrong one`)
  }
  const started = fit.started.map((name) => fit.parts.get(name))
  if (!started.some((part) => part?.os === 'arm-trusted-firmware')) {
    problems.push('u-boot.itb does not start the trusted firmware')
  }
  const program = started.find((part) => part?.type === 'standalone')
  if (program === undefined) problems.push('u-boot.itb does not start U-Boot')
  else problems.push(...programProblems(program.data, build))
  const tree = fit.fdt === undefined ? undefined : fit.parts.get(fit.fdt)
  if (tree === undefined) problems.push('u-boot.itb has no device tree')
  else problems.push(...controlTreeProblems(parseDeviceTree(tree.data).root))
  return problems
}
