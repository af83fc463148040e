import {
  factoryResetMarkerPath,
  freshFlashMarkerPath,
  partitionLinkFolder,
  partitions,
} from '@atomixos/config'
import type { Module } from '@atomixos/image/definition/words.ts'
import { repartDefinitions } from '@atomixos/image/initrd/repart-definitions.ts'
import { requiredScript } from './required-script.ts'

const libraries = '/usr/lib/aarch64-linux-gnu'

/** First boot: slot B and /data behind what was flashed. Every boot: which disk is the system disk. */
export const partitioning: Module = {
  name: 'initrd-partitions',
  packages: ['systemd-repart', 'f2fs-tools'],
  keep: {
    '/usr/bin/systemd-repart': 'makes the partitions',
    '/usr/sbin/{mkfs,fsck}.f2fs': 'makes and mends /data',
    [`${libraries}/lib{fdisk,uuid}.so.*`]: 'systemd-repart and mkfs.f2fs are linked with them',
  },
  files: {
    ...Object.fromEntries(
      repartDefinitions(partitions).map(({ fileName, text }) => [
        `/usr/lib/repart.d/${fileName}`,
        { body: text },
      ]),
    ),
    '/usr/lib/atomixos/initrd.sh': { body: { hostPath: new URL('./initrd.sh', import.meta.url) } },
    '/usr/lib/atomixos/partitions': {
      body: { hostPath: new URL('./partitions.sh', import.meta.url) },
      mode: 0o755,
    },
  },
  units: {
    'atomixos-partitions.service': requiredScript({
      description: 'Partitions of the System Disk',
      path: '/usr/lib/atomixos/partitions',
      // Not before the root is mounted: while dm-verity and the mount hold the partition, no reader of the
      // partition table can make the kernel drop and add it again.
      requires: 'sysroot.mount',
      after: 'sysroot.mount systemd-modules-load.service systemd-udevd.service',
      before: 'initrd-root-fs.target',
      requiredBy: 'initrd-root-fs.target',
      service: {
        RuntimeDirectory: 'atomixos',
        RuntimeDirectoryPreserve: true,
        Environment: [
          `PARTITION_LINKS=${partitionLinkFolder}`,
          `PARTITION_LABELS="${partitions.map(({ label }) => label).join(' ')}"`,
          `FRESH_FLASH_MARKER=${freshFlashMarkerPath}`,
          `FACTORY_RESET_MARKER=${factoryResetMarkerPath}`,
        ],
        TimeoutStartSec: '400s',
      },
    }),
  },
  enable: ['atomixos-partitions.service'],
}
