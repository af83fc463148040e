/**
 * The disk as builder, device and tests agree on it: a GPT on a 16 GB eMMC (or larger).
 * Only `boot-a` and `rootfs-a` are in the flashable image; systemd-repart makes the rest on first boot.
 */

export const sectorBytes = 512
export const MiB = 1024 * 1024

/** Discoverable Partitions Specification and GPT type ids, lower case. */
export const partitionTypes = {
  /** Extended boot loader partition: what a boot slot is, kernel and initrd beside the U-Boot script. */
  xbootldr: 'bc13c2ff-59e6-4262-a352-b275fd6f7172',
  /** Root partition for arm64. */
  rootArm64: 'b921b045-1df0-41c3-af44-4c6f280d3fae',
  linuxGeneric: '0fc63daf-8483-4772-8e79-3d69d8477de4',
} as const

export interface PartitionLayout {
  /** GPT partition name; the only way anything finds a partition. */
  readonly label: 'boot-a' | 'rootfs-a' | 'boot-b' | 'rootfs-b' | 'data'
  /** 1-based entry in the GPT; U-Boot addresses slots by it. */
  readonly number: number
  readonly typeId: string
  readonly offsetBytes: number
  /** undefined: the rest of the disk. */
  readonly sizeBytes: number | undefined
  /** In the flashable image, or made by the initrd on first boot. */
  readonly made: 'image' | 'first-boot'
}

export const partitions: readonly PartitionLayout[] = [
  {
    label: 'boot-a',
    number: 1,
    typeId: partitionTypes.xbootldr,
    offsetBytes: 16 * MiB,
    sizeBytes: 128 * MiB,
    made: 'image',
  },
  {
    label: 'rootfs-a',
    number: 2,
    typeId: partitionTypes.rootArm64,
    offsetBytes: 144 * MiB,
    sizeBytes: 1024 * MiB,
    made: 'image',
  },
  {
    label: 'boot-b',
    number: 3,
    typeId: partitionTypes.xbootldr,
    offsetBytes: 1168 * MiB,
    sizeBytes: 128 * MiB,
    made: 'first-boot',
  },
  {
    label: 'rootfs-b',
    number: 4,
    typeId: partitionTypes.rootArm64,
    offsetBytes: 1296 * MiB,
    sizeBytes: 1024 * MiB,
    made: 'first-boot',
  },
  {
    label: 'data',
    number: 5,
    typeId: partitionTypes.linuxGeneric,
    offsetBytes: 2320 * MiB,
    sizeBytes: undefined,
    made: 'first-boot',
  },
]

/** Where the boot ROM and SPL of the RK3328 look for U-Boot, in 512-byte sectors of the system disk. */
export const firmwareSectors = { idbloader: 64, ubootItb: 16384 } as const

/** Made by the initrd when slot B did not exist: this boot follows a fresh flash. */
export const freshFlashMarkerPath = '/run/atomixos/fresh-flash'

/** Made when the conclusions of this boot are drawn: what verification does later in it is about the running slot alone. */
export const bootConcludedMarkerPath = '/run/atomixos/boot-concluded'

/** f2fs; the only thing that persists. */
export const dataMountPoint = '/data'

/**
 * Links to the partitions of the system disk by label (`/dev/atomixos/rootfs-b`), in the initrd and in the system.
 * Unlike /dev/disk/by-partlabel they never lead to another disk that carries the same labels.
 */
export const partitionLinkFolder = '/dev/atomixos'

/** There when /data could not be mounted, with the reason; an empty read-only file system is in its place. */
export const dataUnavailableMarkerPath = '/run/atomixos/data-unavailable'

/** Made on first boot, never changed; the initrd copies it to /etc/machine-id at every boot. */
export const machineIdPath = '/data/identity/machine-id'

/** Seconds since 1970 when the device was last known to run; the clock never starts before it. */
export const lastSeenTimePath = '/data/identity/last-seen-time'

/** Left by an administrator: the next start makes a new /data. It goes with the /data that it is about. */
export const factoryResetPath = '/data/identity/factory-reset'

/** Made by the initrd when this start made a new /data on a device that had one, with a line that says why. */
export const factoryResetMarkerPath = '/run/atomixos/factory-reset'
