import { basename, join } from 'node:path'
import { renderProblems } from '../definition/index.ts'
import type { Board } from '../definition/words.ts'
import { type BuiltDisk, buildDisk } from '../disk/build-disk.ts'
import { UserError } from '../errors.ts'
import { buildInitrd } from '../initrd/build-initrd.ts'
import { rootArguments } from '../initrd/root-arguments.ts'
import { deviceTree, kernelFiles } from '../kernel/kernel-files.ts'
import { type BuiltSquashfs, buildSquashfs } from '../squashfs/build-squashfs.ts'
import type { ZstdParameters } from '../squashfs/compression.ts'
import { fileNodeOf } from '../tree/file-node.ts'
import { contentSha256 } from '../tree/read-content.ts'
import { type Content, contentSize } from '../tree/tree.ts'
import { type BootFile, bootScriptStep } from '../uboot/boot-script.ts'
import { firmwareProblems } from '../uboot/firmware-problems.ts'
import type { FirmwareSource } from '../uboot/firmware-source.ts'
import { readUbootBuild } from '../uboot/uboot-build.ts'
import { type BootSlot, buildBootSlot } from '../vfat/boot-slot.ts'
import { buildFirmware, type FirmwareBuild } from './build-firmware.ts'
import { type ComposeContext, type ComposedBoard, type ComposedTree, composeBoard } from './compose-board.ts'

export interface BuildBoardOptions {
  readonly board: Board
  readonly firmwareSources: readonly FirmwareSource[]
  readonly firmwarePatches: readonly string[]
  readonly compression: ZstdParameters
  readonly cacheDir: string
}

export interface BoardBuild {
  readonly rootfs: ComposedTree
  readonly initrd: ComposedTree
  readonly squashfs: BuiltSquashfs
  readonly bootFiles: ReadonlyMap<string, Content>
  readonly bootScriptPath: string
  readonly bootSlot: BootSlot
  readonly firmware: ReadonlyMap<string, FirmwareBuild>
  readonly disk: BuiltDisk
}

/** From locked inputs to the flashable image; nothing is made from a tree that has problems. Throws UserError. */
export async function buildBoard(options: BuildBoardOptions, context: ComposeContext): Promise<BoardBuild> {
  const { board, compression, cacheDir } = options
  const { steps, tools, inputs } = context
  const { sourceDateEpoch } = inputs.lock
  // The compiler has the longest way to go: it starts first and shares the cores with everything else.
  const firmwareBuilt = buildFirmware(
    { sources: options.firmwareSources, patches: options.firmwarePatches },
    { inputs, steps },
  )
  const composed = composeChecked(board, context)
  const squashfsBuilt = composed.then(({ rootfs }) =>
    buildSquashfs({ tree: rootfs.tree, compression, sourceDateEpoch }, { steps, cacheDir }),
  )
  const [{ rootfs, initrd }, squashfs, firmware] = await settled([
    composed,
    squashfsBuilt,
    firmwareBuilt,
  ] as const)
  await refuseFirmwareProblems(firmware)
  const { files: bootFiles, scriptPath } = await buildBootFiles(board, initrd, squashfs, context)
  const bootSlot = await buildBootSlot({ files: bootFiles, sourceDateEpoch }, { steps, tools })
  const flashed = flashedFirmware(board, firmware)
  const disk = await buildDisk(
    {
      product: board.name,
      firmware: flashed && {
        idbloaderPath: flashed.path('idbloader.img'),
        ubootItbPath: flashed.path('u-boot.itb'),
      },
      bootSlotPath: bootSlot.path,
      rootfsPath: squashfs.path,
      partIds: [bootSlot.id, squashfs.id, ...(flashed ? [flashed.result.id] : [])],
    },
    { steps },
  )
  return { rootfs, initrd, squashfs, bootFiles, bootScriptPath: scriptPath, bootSlot, firmware, disk }
}

/** All of them, or the first failure once none is running any more: no step is left working behind an error. */
async function settled<T extends readonly unknown[]>(
  promises: { [K in keyof T]: Promise<T[K]> },
): Promise<T> {
  const results = await Promise.allSettled(promises as readonly Promise<unknown>[])
  const failed = results.find((result) => result.status === 'rejected')
  if (failed) throw failed.reason
  return results.map((result) => (result as PromiseFulfilledResult<unknown>).value) as unknown as T
}

async function composeChecked(board: Board, context: ComposeContext): Promise<ComposedBoard> {
  const composed = await composeBoard(board, context)
  const { problems } = composed
  if (problems.length === 0) return composed
  throw new UserError(`board ${board.name} has ${problems.length} problems\n${renderProblems(problems)}`, {
    hint: 'correct the modules under system/, then try `./atomixos check`',
    exitCode: 2,
  })
}

/** Kernel, initrd, device trees and the script that checks them: what a boot slot holds. */
async function buildBootFiles(
  board: Board,
  initrd: ComposedTree,
  squashfs: BuiltSquashfs,
  context: ComposeContext,
): Promise<{ files: Map<string, Content>; scriptPath: string }> {
  const { inputs, steps, tools } = context
  const { sourceDateEpoch } = inputs.lock
  const packed = await buildInitrd({ tree: initrd.tree, sourceDateEpoch }, { steps })
  const packedNode = await fileNodeOf(packed.path, { mode: 0o644, origin: 'initrd' })
  const files = new Map<string, Content>([
    ['Image', kernelFiles(initrd.kernel).image.content],
    ['initrd', packedNode.content],
  ])
  for (const name of board.deviceTrees)
    files.set(`dtbs/${basename(name)}`, deviceTree(initrd.kernel, name).content)
  const [kernel, ramdisk, ...deviceTrees] = [...files].map(([path, content]) => bootFile(path, content))
  const { rootHash, hashOffsetBytes } = squashfs.verity
  const script = await steps.run(
    bootScriptStep({
      tools,
      sourceDateEpoch,
      script: {
        kernel: kernel!,
        initrd: ramdisk!,
        deviceTrees,
        kernelArguments: board.kernelArguments,
        rootArguments: rootArguments({ roothash: rootHash, hashOffsetBytes }),
      },
    }),
  )
  const scriptPath = join(script.dir, 'boot.scr')
  files.set('boot.scr', (await fileNodeOf(scriptPath, { mode: 0o644, origin: 'boot script' })).content)
  return { files, scriptPath }
}

function bootFile(path: string, content: Content): BootFile {
  return { path, sizeBytes: contentSize(content), sha256: contentSha256(content) }
}

function flashedFirmware(
  board: Board,
  firmware: ReadonlyMap<string, FirmwareBuild>,
): FirmwareBuild | undefined {
  const flashed = board.firmware.find((candidate) => candidate.flashed)
  return flashed && firmware.get(flashed.name)
}

async function refuseFirmwareProblems(firmware: ReadonlyMap<string, FirmwareBuild>): Promise<void> {
  const problems: string[] = []
  for (const { source, result } of firmware.values()) {
    problems.push(...firmwareProblems(source, await readUbootBuild(result.dir, source)))
  }
  if (problems.length === 0) return
  throw new UserError(`the firmware must not be flashed\n${problems.join('\n')}`, {
    hint: 'correct system/firmware; docs/firmware.md tells what each setting is for',
  })
}
