import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { UserError } from '../errors.ts'
import { codeIdentity } from '../step/code-identity.ts'
import type { Step } from '../step/step.ts'
import type { ToolTree } from '../tools/tools.ts'

/** A file of the boot slot as the script must find it. */
export interface BootFile {
  /** Relative to the slot's root: `Image`, `dtbs/rk3328-rock64.dtb`. */
  readonly path: string
  readonly sizeBytes: number
  readonly sha256: string
}

export interface BootScript {
  /** Uncompressed arm64 Image. */
  readonly kernel: BootFile
  readonly initrd: BootFile
  /** By what the selector calls them in `board_dtb`: the file name. */
  readonly deviceTrees: readonly BootFile[]
  /** Kernel command line without console, slot and root. */
  readonly kernelArguments: readonly string[]
  /** `${root_uuid}` in them becomes the PARTUUID of the slot's own root partition at boot. */
  readonly rootArguments: readonly string[]
}

const rootPlaceholder = `\${root_uuid}`

/**
 * The slot's own part of starting: run by the selector, which tells the slot's place, the console and the
 * device tree to use. Every file is compared with its SHA-256 before anything is started. On any error the
 * script ends, and the selector goes on: nothing here resets or waits. Throws UserError for arguments that
 * U-Boot's shell would take apart.
 */
export function renderBootScript(script: BootScript): string {
  const { kernel, initrd, deviceTrees, kernelArguments, rootArguments } = script
  for (const file of [kernel, initrd, ...deviceTrees]) refuseUnsafeFile(file)
  for (const argument of kernelArguments) refuseUnsafeArgument(argument, argument)
  for (const argument of rootArguments) {
    refuseUnsafeArgument(argument.replaceAll(rootPlaceholder, ''), argument)
  }
  const kernelLine = [
    ...kernelArguments,
    // A panic is a failed start, to be counted; the backup GPT serves when the first one is damaged.
    ...(kernelArguments.some((argument) => argument.startsWith('panic=')) ? [] : ['panic=5']),
    ...(kernelArguments.includes('gpt') ? [] : ['gpt']),
    `console=\${console}`,
    `\${slot_arguments}`,
    ...rootArguments,
  ].join(' ')

  return `setenv slot_fdt
${deviceTreeChoice(deviceTrees)}
if test -z "\${slot_fdt}"; then
  echo "boot.scr: no device tree (\${board_dtb})"
elif part uuid \${ab_if} \${ab_dev}:\${slot_root} root_uuid; then
  setenv bootargs "${kernelLine}"
  if ${loadAndCheck(kernel, 'kernel_addr_r')}; then
    if ${loadAndCheck(initrd, 'ramdisk_addr_r')}; then
      booti \${kernel_addr_r} \${ramdisk_addr_r}:${hex(initrd.sizeBytes)} \${slot_fdt}
    else
      echo "boot.scr: ${initrd.path} is missing or damaged"
    fi
  else
    echo "boot.scr: ${kernel.path} is missing or damaged"
  fi
else
  echo "boot.scr: no root partition"
fi
`
}

/** U-Boot's own tree where the selector names no file (QEMU), else the file of that name. */
function deviceTreeChoice(deviceTrees: readonly BootFile[]): string {
  const branches = deviceTrees.map((file) => {
    const name = file.path.slice(file.path.lastIndexOf('/') + 1)
    return `elif test "\${board_dtb}" = ${name}; then
  if ${loadAndCheck(file, 'fdt_addr_r')}; then
    setenv slot_fdt \${fdt_addr_r}
  else
    echo "boot.scr: ${file.path} is missing or damaged"
  fi
`
  })
  return `if test -z "\${board_dtb}"; then
  setenv slot_fdt \${fdtcontroladdr}
${branches.join('')}fi`
}

/** No more than the expected length is read: a longer file can not overwrite what lies behind. */
function loadAndCheck({ path, sizeBytes, sha256 }: BootFile, address: string): string {
  const size = hex(sizeBytes)
  return `load \${ab_if} \${ab_dev}:\${slot_boot} \${${address}} ${path} ${size} && hash -v sha256 \${${address}} ${size} ${sha256}`
}

/** U-Boot reads all numbers as hexadecimal. */
function hex(value: number): string {
  return value.toString(16)
}

function refuseUnsafeFile({ path, sizeBytes, sha256 }: BootFile): void {
  if (!/^[\w.+-]+(?:\/[\w.+-]+)*$/.test(path)) throw new Error(`"${path}" can not be named in a boot script`)
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes <= 0) throw new Error(`${path} has no size`)
  if (!/^[0-9a-f]{64}$/.test(sha256)) throw new Error(`${path} has no SHA-256`)
}

function refuseUnsafeArgument(text: string, argument: string): void {
  if (argument !== '' && /^[\w.,:=/@%+-]*$/.test(text)) return
  throw new UserError(`the kernel argument "${argument}" holds characters that U-Boot's shell takes apart`, {
    hint: 'letters, digits and . , : = / @ % + - _ are safe',
  })
}

/** `boot.scr`: the script in U-Boot's image format, whose header carries a CRC; and `boot.cmd`, its text. */
export function bootScriptStep(options: {
  /** `tools`. */
  readonly tools: ToolTree
  readonly script: BootScript
  readonly sourceDateEpoch: number
}): Step {
  const { tools, script, sourceDateEpoch } = options
  const text = renderBootScript(script)
  return {
    name: 'boot script',
    code: codeIdentity(import.meta.url),
    inputs: { tools: tools.id, text, sourceDateEpoch },
    async run({ outDir, signal }) {
      await writeFile(join(outDir, 'boot.cmd'), text)
      await tools.run({
        argv: [
          '/usr/bin/mkimage',
          ...['-A', 'arm64', '-O', 'linux', '-T', 'script', '-C', 'none', '-n', 'AtomixOS slot'],
          ...['-d', '/out/boot.cmd', '/out/boot.scr'],
        ],
        purpose: 'wrapping the boot script',
        mounts: [{ hostPath: outDir, guestPath: '/out', writable: true }],
        env: { SOURCE_DATE_EPOCH: String(sourceDateEpoch) },
        timeoutMs: 30_000,
        signal,
      })
      const size = (await readFile(join(outDir, 'boot.scr'))).length
      // What the selector reads at most, header included.
      if (size > bootScriptMaxBytes)
        throw new Error(`boot.scr is ${size} bytes long, too long for the selector`)
    },
  }
}

/** As in system/firmware/selector.env. */
export const bootScriptMaxBytes = 0x10000
