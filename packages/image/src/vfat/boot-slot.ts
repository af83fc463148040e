import { createHash } from 'node:crypto'
import { chmod, mkdir, open, utimes, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { partitions } from '@atomixos/config'
import { UserError } from '../errors.ts'
import { codeIdentity } from '../step/code-identity.ts'
import type { StepRunner } from '../step/step.ts'
import type { ToolTree } from '../tools/tools.ts'
import { ContentReader, contentSha256 } from '../tree/read-content.ts'
import { type Content, comparePaths, contentSize } from '../tree/tree.ts'

export interface BootSlot {
  /** Image of the file system, which is smaller than its partition; sparse. */
  readonly path: string
  /** Of the step that made it. */
  readonly id: string
}

const MiB = 1024 * 1024
/** For what an operator puts beside ours on a card before its first start. */
const spareBytes = 16 * MiB
/** With clusters of 4 KiB it is FAT16 from 16 MiB on, by the number of clusters. */
const leastBytes = 32 * MiB
const stepBytes = 4 * MiB

/**
 * The file system of a boot slot with the given files (`Image`, `dtbs/rk3328-rock64.dtb`...), as large as these
 * need and a little more: an update writes all of it, and the rest of the partition would be zeros. FAT16 with
 * clusters of 4 KiB: what every U-Boot reads, and few clusters to follow for a large kernel.
 *
 * Same files, same bytes: files and folders are written in order of path into an empty file system, all times are
 * the build's, and the volume id comes from the contents. (mkfs.vfat's --invariant would give every image one and
 * the same id.)
 */
export async function buildBootSlot(
  options: { files: ReadonlyMap<string, Content>; sourceDateEpoch: number },
  { steps, tools }: { steps: StepRunner; tools: ToolTree },
): Promise<BootSlot> {
  const { sourceDateEpoch } = options
  const partitionBytes = partitions.find(({ label }) => label === 'boot-a')!.sizeBytes!
  const files = [...options.files].sort(([a], [b]) => comparePaths(a, b))
  refuseTooMuch(files, partitionBytes)
  const sizeBytes = fileSystemBytes(bytesOf(files), partitionBytes)
  const identity = files.map(([path, content]) => [path, contentSha256(content)])
  const volumeId = createHash('sha256').update(JSON.stringify(identity)).digest('hex').slice(0, 8)

  const result = await steps.run({
    name: 'boot slot',
    code: codeIdentity(import.meta.url),
    inputs: { files: identity, sizeBytes, sourceDateEpoch, tools: tools.id },
    async run({ outDir, workDir, signal, task }) {
      const image = join(outDir, 'boot.vfat')
      const handle = await open(image, 'wx')
      await handle.truncate(sizeBytes)
      await handle.close()
      await chmod(image, 0o644)
      const run = (argv: readonly [string, ...string[]]) =>
        tools.run({
          argv,
          purpose: 'to make the boot slot',
          mounts: [
            { hostPath: outDir, guestPath: '/out', writable: true },
            { hostPath: workDir, guestPath: '/files', writable: false },
          ],
          env: { SOURCE_DATE_EPOCH: String(sourceDateEpoch), TZ: 'UTC' },
          timeoutMs: 120_000,
          signal,
        })
      await run([
        '/usr/sbin/mkfs.vfat',
        '-F',
        '16',
        '-s',
        '8',
        '-n',
        'BOOT',
        '-i',
        volumeId,
        '/out/boot.vfat',
      ])
      await using reader = new ContentReader()
      const folders = [...new Set(files.map(([path]) => dirname(path)).filter((folder) => folder !== '.'))]
      for (const folder of folders) {
        await mkdir(join(workDir, folder), { recursive: true })
        await run(['/usr/bin/mmd', '-i', '/out/boot.vfat', `::${folder}`])
      }
      let done = 0
      for (const [path, content] of files) {
        const staged = join(workDir, path)
        await writeFile(staged, await reader.read(content))
        await utimes(staged, sourceDateEpoch, sourceDateEpoch)
        await run(['/usr/bin/mcopy', '-m', '-i', '/out/boot.vfat', `/files/${path}`, `::${path}`])
        task.progress(++done, files.length, 'items')
      }
    },
  })
  return { path: join(result.dir, 'boot.vfat'), id: result.id }
}

/** Size of a file system for that much content in a partition of that size, both in bytes. */
export function fileSystemBytes(contentBytes: number, partitionBytes: number): number {
  const wanted = Math.ceil((contentBytes + spareBytes) / stepBytes) * stepBytes
  return Math.min(Math.max(wanted, leastBytes), partitionBytes)
}

function bytesOf(files: readonly (readonly [string, Content])[]): number {
  return files.reduce((sum, [, content]) => sum + contentSize(content), 0)
}

function refuseTooMuch(files: readonly (readonly [string, Content])[], sizeBytes: number): void {
  const total = bytesOf(files)
  // Tables and the ends of clusters take less than 1 MiB.
  const room = sizeBytes - MiB
  if (total <= room) return
  const sizes = files.map(([path, content]) => `  ${path}: ${contentSize(content)} bytes`)
  throw new UserError(`the boot slot holds ${room} bytes, its files have ${total}:\n${sizes.join('\n')}`, {
    hint: 'leave kernel modules or programs out of the initrd',
  })
}
