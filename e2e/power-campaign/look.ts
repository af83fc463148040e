/** Looks at a replayed disk: partition tables and /data. */
import { execFile } from 'node:child_process'
import { partitions, sectorBytes } from '@atomixos/config'
import { type Partition, type Programs, readPartitions } from '@atomixos/machine'
import type { Observation } from './judge.ts'
import { parseTree } from './read-data.ts'

type Read = (offsetBytes: number, sizeBytes: number) => Promise<Buffer>

/**
 * U-Boot and Linux take the backup when the primary table is bad; U-Boot looks for it only behind a protective MBR.
 */
export async function lookAtTable(read: Read, systemBytes: number): Promise<Observation['table']> {
  const without = (lba: number) => async (offset: number, size: number) =>
    offset === lba * sectorBytes ? Buffer.alloc(size) : read(offset, size)
  const valid = (lba: number) =>
    readPartitions(without(lba), systemBytes).then(
      (found): Partition[] | undefined => found,
      () => undefined,
    )
  const primary = await valid(systemBytes / sectorBytes - 1)
  if (primary !== undefined) return { copy: 'primary', partitions: classify(primary) }
  const mbr = await read(0, sectorBytes)
  const protective = mbr.readUInt16LE(510) === 0xaa55 && mbr[450] === 0xee
  const backup = protective ? await valid(1) : undefined
  if (backup !== undefined) return { copy: 'backup', partitions: classify(backup) }
  return { copy: 'none', partitions: 'wrong' }
}

function classify(found: readonly Partition[]): Observation['table']['partitions'] {
  const asPlanned = found.every((partition) =>
    partitions.some(
      ({ label, number, typeId, offsetBytes, sizeBytes }) =>
        label === partition.label &&
        number === partition.number &&
        typeId === partition.typeId &&
        offsetBytes === partition.offsetBytes &&
        (sizeBytes ?? partition.sizeBytes) === partition.sizeBytes,
    ),
  )
  const labels = new Set(found.map(({ label }) => label))
  if (!asPlanned || labels.size !== found.length) return 'wrong'
  if (labels.size === partitions.length) return 'complete'
  if (labels.size === partitions.length - 1 && !labels.has('data')) return 'reset'
  const flashed = partitions.filter(({ made }) => made === 'image')
  return labels.size === flashed.length && flashed.every(({ label }) => labels.has(label))
    ? 'flashed'
    : 'wrong'
}

const checkLimitMs = 120_000

export interface DataLook extends NonNullable<Observation['data']> {
  /** Inode numbers by path; empty when it is not consistent. */
  readonly tree: ReadonlyMap<string, number>
}

/**
 * `fsck.f2fs` on a file, changing nothing. A file system that was not unmounted is as its last checkpoint has it; that is
 * what is checked, and what the kernel starts from.
 *
 * @param programs Of the tree that has f2fs-tools.
 */
export async function lookAtData(programs: Programs, path: string): Promise<DataLook> {
  const [program, ...argv] = programs.argv('fsck.f2fs')
  const { exitCode, output } = await new Promise<{ exitCode: number; output: string }>((resolve) => {
    const check = execFile(
      program!,
      [...argv, '-f', '--dry-run', '-t', path],
      { timeout: checkLimitMs, maxBuffer: 64 * 1024 * 1024, env: { ...programs.env } },
      (error, stdout, stderr) =>
        resolve({
          exitCode: error === null ? 0 : typeof error.code === 'number' ? error.code : 255,
          output: `${stdout}\n${stderr}`,
        }),
    )
    // It asks when it could lose files, for ever.
    check.stdin?.end()
  })
  const bad = output
    .split('\n')
    .filter((line) => !/ <ino = /.test(line) && /\[Fail\]|\[ASSERT\]|Can't find a valid|Error/i.test(line))
  // What it prints at the end says that everything was looked at.
  const finished = /\[FSCK\] other corrupted bugs/.test(output)
  if (exitCode === 0 && finished && bad.length === 0) {
    return { consistent: true, detail: '', tree: parseTree(output) }
  }
  const said = bad[0]?.trim() ?? output.trim().split('\n').at(-1)!.trim()
  return { consistent: false, tree: new Map(), detail: `fsck.f2fs ended with ${exitCode}: ${said}` }
}
