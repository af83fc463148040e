import { partitions, sectorBytes } from '@atomixos/config'
import { dataBytesMin } from '../initrd/repart-definitions.ts'

/** A whole disk of this machine, or a file that stands for one, as a person and our refusals need it. */
export interface Disk {
  /** What is opened: `/dev/sdb`; on macOS the raw device `/dev/rdisk4`. */
  readonly path: string
  readonly sizeBytes: number
  readonly sectorBytes: number
  readonly model: string | undefined
  readonly serial: string | undefined
  readonly connection: Connection
  /** The system says that it comes and goes: cards, sticks, readers. */
  readonly removable: boolean
  readonly readOnly: boolean
  /** This machine itself runs from it. */
  readonly system: boolean
  /** What it is used for right now, one sentence each; empty when it is free. */
  readonly uses: readonly string[]
  /** What is on it, as far as this machine knows. */
  readonly contents: readonly DiskContent[]
  /** Changes when another device takes the same name. */
  readonly identity: string
}

export type Connection = 'USB' | 'SD card' | 'eMMC' | 'NVMe' | 'SATA' | 'virtio' | 'loop' | 'file' | 'unknown'

export interface DiskContent {
  readonly path: string
  readonly sizeBytes: number
  /** File system and labels: `ext4 "rootfs"`; undefined when nobody knows. */
  readonly what: string | undefined
}

/** Why a path cannot be a target at all, with what to do. */
export interface Refusal {
  readonly message: string
  readonly hint: string
}

/** The system's five partitions with the smallest `/data` that the first boot makes. */
export const diskBytesMin = partitions.at(-1)!.offsetBytes + dataBytesMin

/** Every reason not to write an image of that size to this disk; empty: it may be written. Pure. */
export function targetProblems(disk: Disk, imageBytes: number): Refusal[] {
  const { path } = disk
  const problems: Refusal[] = []
  if (disk.system) {
    problems.push({
      message: `${path} is a disk that this machine runs from`,
      hint: 'look at `./atomixos flash --list` for the one that you mean',
    })
  }
  for (const use of disk.uses) {
    problems.push({ message: `${path} is in use: ${use}`, hint: releaseHint(disk) })
  }
  if (disk.readOnly) {
    problems.push({
      message: `${path} is write-protected`,
      hint: 'move the lock switch of the card or its adapter',
    })
  }
  if (disk.sectorBytes !== sectorBytes) {
    problems.push({
      message: `${path} has sectors of ${disk.sectorBytes} bytes; the image's partition table counts in ${sectorBytes}`,
      hint: 'take another disk or another adapter',
    })
  }
  // A file is only ever as large as somebody made it: it may be there for the image alone.
  const needed = disk.connection === 'file' ? imageBytes : Math.max(imageBytes, diskBytesMin)
  if (disk.sizeBytes < needed) {
    problems.push({
      message:
        disk.sizeBytes === 0
          ? `${path} is empty: there is no card in the reader`
          : `${path} has ${describeBytes(disk.sizeBytes)}, and the system needs ${describeBytes(needed)}`,
      hint:
        disk.sizeBytes === 0 ? 'put a card in' : 'take a larger one; 16 GB is what the product is made for',
    })
  }
  return problems
}

function releaseHint({ system, path, connection }: Disk): string {
  if (system) return 'no disk of the running system is ever overwritten'
  if (path.startsWith('/dev/rdisk')) return `run \`diskutil unmountDisk ${path.replace('rdisk', 'disk')}\``
  if (connection === 'file') return 'write to that device, or take it down with `losetup -d`'
  return `unmount it (\`umount\`, or the file manager) and run the command again`
}

/**
 * Built into a machine rather than put in for the purpose. Such a disk can be meant, but a script that names a wrong one
 * must not get far. Pure.
 */
export function isBuiltIn({ connection, removable }: Disk): boolean {
  return !removable && ['NVMe', 'SATA', 'virtio', 'unknown'].includes(connection)
}

/** `15.9 GB`, as it stands on the card. Pure. */
export function describeBytes(bytes: number): string {
  if (bytes < 1e6) return `${bytes} bytes`
  if (bytes < 1e9) return `${(bytes / 1e6).toFixed(bytes < 10e6 ? 1 : 0)} MB`
  return bytes < 1e12 ? `${(bytes / 1e9).toFixed(1)} GB` : `${(bytes / 1e12).toFixed(1)} TB`
}

/** `Generic STORAGE DEVICE, serial 0001, USB, removable, 15.9 GB`. Pure. */
export function describeDisk({ model, serial, connection, removable, sizeBytes }: Disk): string {
  return [
    model ?? 'no model',
    ...(serial === undefined ? [] : [`serial ${serial}`]),
    ...(connection === 'unknown' ? [] : [connection]),
    ...(removable ? ['removable'] : []),
    describeBytes(sizeBytes),
  ].join(', ')
}
