import { rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Machine } from '@atomixos/machine'
import { leanMemoryEnvironment } from '@atomixos/system/modules/runtime.ts'
import { build } from 'esbuild'

export interface InstallFigures {
  /** Of both images: what dd writes, and RAUC. */
  readonly imageBytes: number
  readonly bundleBytes: number
  /** `dd bs=1M conv=fsync` of the running slot's images to the other slot. Median, as all others. */
  readonly ddSeconds: number
  /** `atomixctl update install`, from its start to its end: signature, both images, the boot environment. */
  readonly installSeconds: number
  /** The most memory that the service of RAUC had, page cache included. */
  readonly raucPeakKib: number
  readonly rounds: number
}

export interface RebuildFigures {
  readonly wallSeconds: number
  /** The most memory that the program had, all of Node included. */
  readonly peakBytes: number
}

/** A provisioned device in QEMU. */
export interface UpdateDevice extends AsyncDisposable {
  /** The running release's successor, from a file on `/data` into the other slot; and the same bytes by dd. */
  readonly measureInstall: (rounds: number) => Promise<InstallFigures>
  /** What the device makes of a delta for these images, with its own program, Node and clock. */
  readonly measureRebuild: (given: DeltaToRebuild) => Promise<RebuildFigures>
}

export interface DeltaToRebuild {
  readonly base: { readonly bootSlotPath: string; readonly rootfsPath: string }
  readonly deltaPath: string
  readonly bundle: { readonly sizeBytes: number; readonly sha256: string }
}

export async function openUpdateDevice(): Promise<UpdateDevice> {
  // They read at once what the command has prepared, which is not there for --help.
  const { provisionedGateway } = await import('@atomixos/e2e/provisioned.ts')
  const { holdUpdateTimer } = await import('@atomixos/e2e/gateway.ts')
  const { storyDir } = await import('@atomixos/e2e/setup.ts')
  const dir = await storyDir('bench-update')
  const device = await provisionedGateway(join(dir, 'device'))
  const { gateway } = device
  try {
    await holdUpdateTimer(gateway)
    await gateway.succeed(`mkdir -p ${benchFolder}`)
  } catch (error) {
    await device[Symbol.asyncDispose]()
    throw error
  }
  let base: DeltaToRebuild['base'] | undefined
  return {
    measureInstall: (rounds) => measureInstall(gateway, rounds),
    async measureRebuild(given) {
      if (base !== given.base) {
        base = given.base
        await gateway.copyIn(base.bootSlotPath, inBench('boot'))
        await gateway.copyIn(base.rootfsPath, inBench('rootfs'))
        await gateway.writeFile(inBench('rebuild.js'), await rebuildProgram())
      }
      await gateway.copyIn(given.deltaPath, inBench('delta'))
      const { sizeBytes, sha256 } = given.bundle
      const files = ['delta', 'boot', 'rootfs', 'bundle'].map(inBench)
      const argv = [inBench('rebuild.js'), ...files, sizeBytes, sha256, inBench('result')]
      await gateway.succeed(
        `${nothingCached}; env ${leanMemoryEnvironment} ${deviceNode} ${argv.join(' ')} && rm ${inBench('bundle')}`,
        {
          timeoutMs: 1_800_000,
        },
      )
      return JSON.parse(String(await gateway.readFile(inBench('result')))) as RebuildFigures
    },
    async [Symbol.asyncDispose]() {
      await device[Symbol.asyncDispose]()
      await rm(dir, { recursive: true, force: true })
    },
  }
}

const benchFolder = '/data/bench'
const inBench = (name: string) => `${benchFolder}/${name}`
const deviceNode = '/usr/lib/atomixos/node'
const nothingCached = 'sync; echo 3 >/proc/sys/vm/drop_caches'

/** As the device's own programs are bundled. */
async function rebuildProgram(): Promise<Uint8Array> {
  const { outputFiles } = await build({
    entryPoints: [join(import.meta.dirname, 'rebuild-once.ts')],
    ...{ bundle: true, write: false, platform: 'node', format: 'cjs', target: 'node26' },
  })
  return outputFiles[0]!.contents
}

async function measureInstall(gateway: Machine, rounds: number): Promise<InstallFigures> {
  const { bundlePath, manifest } = await import('@atomixos/e2e/setup.ts')
  const bundle = inBench('next.raucb')
  await gateway.copyIn(bundlePath('next'), bundle)
  const imageBytes = (name: string) =>
    manifest.artifacts.find((artifact) => artifact.name === name)!.sizeBytes
  const images = { boot: imageBytes('boot.vfat'), rootfs: imageBytes('rootfs.squashfs') }
  const times: Record<'dd' | 'install', number[]> = { dd: [], install: [] }
  for (let round = 0; round < rounds; round++) {
    const copies = Object.entries(images).map(([name, bytes]) => {
      const [from, to] = [`/dev/atomixos/${name}-a`, `/dev/atomixos/${name}-b`]
      return `dd if=${from} of=${to} bs=1M count=${bytes} iflag=count_bytes conv=fsync,notrunc status=none`
    })
    times.dd.push(await secondsOf(gateway, copies.join(' && ')))
    times.install.push(
      await secondsOf(gateway, `atomixctl update install --no-restart --allow-older ${bundle} >/dev/null`),
    )
  }
  const peak = Number(await gateway.succeed('systemctl show -P MemoryPeak rauc'))
  const { size: bundleBytes } = await stat(bundlePath('next'))
  await gateway.succeed(`rm ${bundle}`)
  const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[values.length >> 1]!
  return {
    imageBytes: images.boot + images.rootfs,
    bundleBytes,
    ddSeconds: median(times.dd),
    installSeconds: median(times.install),
    raucPeakKib: Math.round(peak / 1024),
    rounds,
  }
}

/** By the machine's own clock, with nothing of the files in memory at the start. */
async function secondsOf(gateway: Machine, command: string): Promise<number> {
  const timed = `${nothingCached}; read a _ </proc/uptime; ${command}; read b _ </proc/uptime; echo "$a $b"`
  const [start, end] = (await gateway.succeed(timed, { timeoutMs: 900_000 })).trim().split(' ').map(Number)
  return end! - start!
}

export function installReport(figures: InstallFigures): string {
  const { imageBytes, bundleBytes, ddSeconds, installSeconds, raucPeakKib, rounds } = figures
  return [
    'emulated machine: times are several times those of a board, ratios are what to look at',
    '',
    `both images, ${(imageBytes / 1e6).toFixed(1)} MB, by dd with fsync    ${ddSeconds.toFixed(1)} s (median of ${rounds})`,
    `install of the bundle, ${(bundleBytes / 1e6).toFixed(1)} MB            ${installSeconds.toFixed(1)} s: ${(installSeconds / ddSeconds).toFixed(2)} times that`,
    `memory of RAUC's service at most, with cache   ${(raucPeakKib / 1024).toFixed(0)} MiB`,
    '',
  ].join('\n')
}
