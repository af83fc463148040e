import { basename, join } from 'node:path'
import { type BundleOptions, buildBundle } from '../bundle/build-bundle.ts'
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
  readonly bundle: Pick<BundleOptions, 'description' | 'signer' | 'signingTimeSeconds'>
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
  readonly bundle: { readonly path: string }
}

/** The artifacts of a board, each made with what it depends on when it is asked for, once. Throw UserError. */
export interface BoardParts {
  composed(): Promise<ComposedBoard>
  firmware(): Promise<ReadonlyMap<string, FirmwareBuild>>
  squashfs(): Promise<BuiltSquashfs>
  bootFiles(): Promise<BootFiles>
  bootSlot(): Promise<BootSlot>
  bundle(): Promise<{ readonly path: string }>
  disk(): Promise<BuiltDisk>
}

export interface BootFiles {
  readonly files: ReadonlyMap<string, Content>
  readonly scriptPath: string
}

/** Nothing is made from a tree, or put beside a firmware, that has problems. */
export function boardParts(options: BuildBoardOptions, context: ComposeContext): BoardParts {
  const { board, compression, cacheDir } = options
  const { steps, tools, inputs, facts } = context
  const { sourceDateEpoch } = inputs.lock
  const parts: BoardParts = {
    composed: once(() => composeChecked(board, context)),
    firmware: once(async () => {
      const sources = { sources: options.firmwareSources, patches: options.firmwarePatches }
      const firmware = await buildFirmware(sources, { inputs, steps })
      await refuseFirmwareProblems(firmware)
      return firmware
    }),
    squashfs: once(async () => {
      const { rootfs } = await parts.composed()
      return buildSquashfs({ tree: rootfs.tree, compression, sourceDateEpoch }, { steps, cacheDir })
    }),
    bootFiles: once(async () => {
      const { initrd } = await parts.composed()
      return buildBootFiles(board, initrd, await parts.squashfs(), context)
    }),
    bootSlot: once(async () => {
      const { files } = await parts.bootFiles()
      return buildBootSlot({ files, sourceDateEpoch }, { steps, tools })
    }),
    bundle: once(async () => {
      const { signer, signingTimeSeconds, description } = options.bundle
      return buildBundle(
        {
          board: board.name,
          version: facts.version!,
          description,
          bootSlotPath: (await parts.bootSlot()).path,
          rootfsPath: (await parts.squashfs()).path,
          sourceDateEpoch,
          signer,
          signingTimeSeconds,
        },
        { steps, tools },
      )
    }),
    disk: once(async () => {
      const [bootSlot, squashfs, firmware] = [
        await parts.bootSlot(),
        await parts.squashfs(),
        flashedFirmware(board, await parts.firmware()),
      ]
      return buildDisk(
        {
          product: board.name,
          firmware: firmware && {
            idbloaderPath: firmware.path('idbloader.img'),
            ubootItbPath: firmware.path('u-boot.itb'),
          },
          bootSlotPath: bootSlot.path,
          rootfsPath: squashfs.path,
          partIds: [bootSlot.id, squashfs.id, ...(firmware ? [firmware.result.id] : [])],
        },
        { steps },
      )
    }),
  }
  return parts
}

/** From locked inputs to everything there is of a board. Throws UserError. */
export async function buildBoard(parts: BoardParts): Promise<BoardBuild> {
  // The compiler has the longest way to go: it starts first and shares the cores with everything else.
  const [firmware, squashfs] = await settled([parts.firmware(), parts.squashfs()] as const)
  const { rootfs, initrd } = await parts.composed()
  const { files: bootFiles, scriptPath: bootScriptPath } = await parts.bootFiles()
  const bootSlot = await parts.bootSlot()
  const [disk, bundle] = await settled([parts.disk(), parts.bundle()] as const)
  return { rootfs, initrd, squashfs, bootFiles, bootScriptPath, bootSlot, firmware, disk, bundle }
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () => {
    made ??= make()
    return made
  }
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
): Promise<BootFiles> {
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
