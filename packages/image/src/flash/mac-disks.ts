import { parse } from 'fast-plist'
import type { Connection, Disk, DiskContent } from './disk.ts'

/**
 * Disks as macOS tells of them: the property lists of `diskutil`. Pure, and tested with texts that were written after
 * its manual; no Mac has run it yet.
 */

/** Of `diskutil info -plist disk4`; the keys that we read. */
interface DiskInfo {
  readonly WholeDisk?: boolean
  readonly ParentWholeDisk?: string
  readonly DeviceIdentifier?: string
  readonly DeviceBlockSize?: number
  readonly TotalSize?: number
  readonly Size?: number
  readonly MediaName?: string
  readonly BusProtocol?: string
  readonly Internal?: boolean
  readonly RemovableMedia?: boolean
  readonly Ejectable?: boolean
  readonly WritableMedia?: boolean
  readonly VirtualOrPhysical?: string
  readonly DiskUUID?: string
}

/** Of `diskutil list -plist`. */
interface DiskList {
  readonly AllDisksAndPartitions?: readonly ListedDisk[]
}

interface ListedDisk extends ListedVolume {
  readonly Partitions?: readonly ListedVolume[]
  readonly APFSVolumes?: readonly ListedVolume[]
  readonly APFSPhysicalStores?: readonly { readonly DeviceIdentifier?: string }[]
}

interface ListedVolume {
  readonly DeviceIdentifier?: string
  readonly Content?: string
  readonly VolumeName?: string
  readonly MountPoint?: string
  /** The volume that a Mac runs from is mounted as a sealed snapshot of itself. */
  readonly MountedSnapshots?: readonly {
    readonly SnapshotBSD?: string
    readonly SnapshotMountPoint?: string
  }[]
  readonly Size?: number
}

interface Mounted {
  readonly path: string
  readonly mountPoint: string
}

/** Names of whole disks that are real hardware, from `diskutil list -plist physical`. Pure. */
export function parseMacDiskNames(listText: string): string[] {
  const list = parse(listText) as DiskList
  return (list.AllDisksAndPartitions ?? []).flatMap(({ DeviceIdentifier }) => DeviceIdentifier ?? [])
}

/** The disk that a partition belongs to; undefined for a whole disk. Pure. */
export function parseMacParent(infoText: string): string | undefined {
  const info = parse(infoText) as DiskInfo
  return info.WholeDisk === true ? undefined : info.ParentWholeDisk
}

/**
 * The disk below a container of APFS, which macOS shows as a whole disk as well; undefined for anything else. From
 * `diskutil list -plist`. Pure.
 */
export function parseMacContainerDisk(name: string, listText: string): string | undefined {
  const all = (parse(listText) as DiskList).AllDisksAndPartitions ?? []
  const container = all.find(({ DeviceIdentifier }) => DeviceIdentifier === name)
  const store = container?.APFSPhysicalStores?.[0]?.DeviceIdentifier
  return store === undefined ? undefined : /^disk\d+/.exec(store)?.[0]
}

/**
 * A whole disk, from `diskutil info -plist NAME` and `diskutil list -plist`. What is mounted from an APFS container
 * counts for the disk that the container is on. Pure.
 */
export function parseMacDisk(infoText: string, listText: string): Disk {
  const info = parse(infoText) as DiskInfo
  const all = (parse(listText) as DiskList).AllDisksAndPartitions ?? []
  const name = info.DeviceIdentifier!
  const own = all.find(({ DeviceIdentifier }) => DeviceIdentifier === name)
  const partitions = own?.Partitions ?? []
  const parts = new Set([name, ...partitions.flatMap(({ DeviceIdentifier }) => DeviceIdentifier ?? [])])
  const containers = all.filter((disk) =>
    disk.APFSPhysicalStores?.some(({ DeviceIdentifier }) => parts.has(DeviceIdentifier ?? '')),
  )
  const volumes = [
    ...(own === undefined ? [] : [own]),
    ...partitions,
    ...(own?.APFSVolumes ?? []),
    ...containers.flatMap(({ APFSVolumes }) => APFSVolumes ?? []),
  ]
  const mounted = volumes.flatMap(mountsOf)
  const sizeBytes = info.TotalSize ?? info.Size ?? 0
  return {
    path: `/dev/r${name}`,
    sizeBytes,
    sectorBytes: info.DeviceBlockSize ?? 512,
    model: info.MediaName || undefined,
    serial: undefined,
    connection: connectionOf(info),
    removable: info.RemovableMedia === true || info.Ejectable === true,
    readOnly: info.WritableMedia === false,
    system:
      (info.Internal === true && info.RemovableMedia !== true) ||
      mounted.some(({ mountPoint }) => /^\/($|System\/|private\/)/.test(mountPoint)),
    uses: mounted.map(({ path, mountPoint }) => `${path} is mounted at ${mountPoint}`),
    contents: partitions.map(describeContent),
    identity: [name, sizeBytes, info.MediaName, info.BusProtocol, info.DiskUUID].join('|'),
  }
}

function mountsOf({ DeviceIdentifier, MountPoint, MountedSnapshots }: ListedVolume): Mounted[] {
  const snapshots = (MountedSnapshots ?? []).flatMap(({ SnapshotBSD, SnapshotMountPoint }) =>
    SnapshotMountPoint ? [{ path: SnapshotBSD ?? 'a snapshot', mountPoint: SnapshotMountPoint }] : [],
  )
  return MountPoint ? [{ path: `/dev/${DeviceIdentifier}`, mountPoint: MountPoint }, ...snapshots] : snapshots
}

function connectionOf({ BusProtocol, VirtualOrPhysical }: DiskInfo): Connection {
  if (VirtualOrPhysical === 'Virtual') return 'file'
  const known: Readonly<Record<string, Connection>> = {
    USB: 'USB',
    'Secure Digital': 'SD card',
    'Apple Fabric': 'NVMe',
    'PCI-Express': 'NVMe',
    SATA: 'SATA',
  }
  return known[BusProtocol ?? ''] ?? 'unknown'
}

function describeContent({ DeviceIdentifier, Size, Content, VolumeName }: ListedVolume): DiskContent {
  const what = [Content, VolumeName && `"${VolumeName}"`].filter(Boolean).join(' ')
  return { path: `/dev/${DeviceIdentifier}`, sizeBytes: Size ?? 0, what: what || undefined }
}
