import { MiB, type PartitionLayout } from '@atomixos/config'

export interface RepartDefinition {
  readonly fileName: string
  readonly text: string
}

/**
 * The disk layout as systemd-repart reads it (repart.d(5)). It matches what is on the disk by type and order, not
 * by label, so the files are numbered in the order of the partitions, those of the image included. Those are
 * never touched; the others are made, at the offsets of the layout because each begins where the one before ends.
 */
export function repartDefinitions(partitions: readonly PartitionLayout[]): RepartDefinition[] {
  return partitions.map((partition) => ({
    fileName: `${partition.number}0-${partition.label}.conf`,
    text: [
      '[Partition]',
      `Type=${partition.typeId}`,
      `Label=${partition.label}`,
      // repart puts a partition into the smallest gap that fits. Without a lower bound /data could end up in
      // front of the first partition, where U-Boot is.
      `SizeMinBytes=${partition.sizeBytes ?? dataBytesMin}`,
      ...(partition.sizeBytes === undefined ? [] : [`SizeMaxBytes=${partition.sizeBytes}`]),
      // What is lost in a factory reset, and made again as at the first boot.
      ...(partition.label === 'data' ? ['Format=f2fs', 'FactoryReset=yes'] : []),
      '',
    ].join('\n'),
  }))
}

/** Less than this behind slot B means that the disk is not one that the product runs on. */
export const dataBytesMin = 256 * MiB
