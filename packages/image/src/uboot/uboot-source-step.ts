import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { codeIdentity } from '../step/code-identity.ts'
import type { Step } from '../step/step.ts'
import type { ToolTree } from '../tools/tools.ts'

/** A downloaded and verified file of a source package. */
export interface SourceFile {
  readonly hostPath: string
  readonly sha256: string
}

export interface UbootSourceOptions {
  /** `tools-firmware`. */
  readonly tools: ToolTree
  /** `u-boot_VERSION.orig.tar.bz2`. */
  readonly upstream: SourceFile
  /** `u-boot_VERSION-REVISION.debian.tar.xz`. */
  readonly debian: SourceFile
  /** Ours, applied after Debian's series. Unified diffs for `patch -p1`. */
  readonly patches: readonly string[]
}

/**
 * Two thirds of the files are of no use to an arm64 build of ours and are not even written. Kconfig files of
 * other architectures must stay, since Kconfig reads all of them.
 */
const leftOut = [
  '*/dts/upstream/Bindings',
  ...['arc', 'arm', 'loongarch', 'mips', 'nios2', 'openrisc', 'powerpc', 'riscv', 'xtensa'].map(
    (architecture) => `*/dts/upstream/src/${architecture}`,
  ),
  '*/dts/upstream/src/arm64/[!r]*/*',
  '*/lib/lwip/lwip',
  '*/lib/mbedtls/external',
  '*/arch/[!a]*/dts/*.dts*',
]

const script = `
umask 022
mkdir /out/source
options='--extract --strip-components=1 --no-same-owner --no-same-permissions'
bzip2 --decompress --stdout /inputs/upstream | tar $options --directory /out/source "$@"
mkdir /scratch/debian
tar --extract --no-same-owner --no-same-permissions --xz --file /inputs/debian --directory /scratch
while read -r patch rest; do
  case "$patch" in '' | '#'*) continue ;; esac
  patch --directory /out/source --strip 1 --silent --force --no-backup-if-mismatch < "/scratch/debian/patches/$patch"
done < /scratch/debian/patches/series
for patch in /inputs/patches/*; do
  patch --directory /out/source --strip 1 --silent --force --no-backup-if-mismatch < "$patch"
done
`

/** `source/`: U-Boot with Debian's patches and ours, ready to be built outside of itself by any number of builds. */
export function ubootSourceStep(options: UbootSourceOptions): Step {
  const { tools, upstream, debian, patches } = options
  return {
    name: 'u-boot source',
    code: codeIdentity(import.meta.url),
    inputs: { tools: tools.id, upstream: upstream.sha256, debian: debian.sha256, patches },
    async run({ outDir, workDir, signal }) {
      const patchDir = join(workDir, 'patches')
      await mkdir(patchDir)
      for (const [index, patch] of patches.entries()) {
        await writeFile(join(patchDir, String(index).padStart(3, '0')), patch)
      }
      const scratch = join(workDir, 'scratch')
      await mkdir(scratch)
      const readOnly = (hostPath: string, guestPath: string) => ({ hostPath, guestPath, writable: false })
      await tools.run({
        argv: [
          '/usr/bin/bash',
          ...['-euo', 'pipefail', '-c', script, 'unpack'],
          ...leftOut.map((pattern) => `--exclude=${pattern}`),
        ],
        purpose: 'unpacking and patching the source of U-Boot',
        mounts: [
          readOnly(upstream.hostPath, '/inputs/upstream'),
          readOnly(debian.hostPath, '/inputs/debian'),
          readOnly(patchDir, '/inputs/patches'),
          { hostPath: outDir, guestPath: '/out', writable: true },
          { hostPath: scratch, guestPath: '/scratch', writable: true },
        ],
        timeoutMs: 300_000,
        signal,
      })
    },
  }
}
