import { statfs } from 'node:fs/promises'
import { dataMountPoint } from '@atomixos/config'

/** Of the file system on /data, in bytes; what is kept for root counts as free, since the system can use it. */
export interface DataSpace {
  readonly sizeBytes: number
  readonly freeBytes: number
  /** What applications and users can still write. */
  readonly availableBytes: number
}

/** With less than this for applications, /data counts as full: an update keeps 256 MiB free, a database writes in megabytes. */
const fullBelowBytes = 64 << 20

/** Undefined: it cannot be asked. */
export async function readDataSpace(folder: string = dataMountPoint): Promise<DataSpace | undefined> {
  try {
    const { bsize, blocks, bfree, bavail } = await statfs(folder)
    return { sizeBytes: blocks * bsize, freeBytes: bfree * bsize, availableBytes: bavail * bsize }
  } catch {
    return undefined
  }
}

/** Pure. */
export function isFull({ availableBytes }: DataSpace): boolean {
  return availableBytes < fullBelowBytes
}

/** `12.9 of 13.1 GB free`, or what to do. Pure. */
export function renderDataSpace(space: DataSpace): string {
  if (!isFull(space)) return `${gigabytes(space.availableBytes)} of ${gigabytes(space.sizeBytes)} GB free`
  const left = `${Math.floor(space.availableBytes / 1e6)} MB of ${gigabytes(space.sizeBytes)} GB free`
  return `FULL, ${left}: remove what applications or users left on it`
}

function gigabytes(bytes: number): string {
  return (bytes / 1e9).toFixed(1)
}
