import {
  dataMountPoint,
  dataUnavailableMarkerPath,
  factoryResetMarkerPath,
  factoryResetPath,
  lastSeenTimePath,
  partitionLinkFolder,
} from '@atomixos/config'
import type { Module } from '@atomixos/image/definition/words.ts'
import { requiredScript } from './required-script.ts'

/** /data, the machine id and a clock that does not go back, before the system starts. */
export const data: Module = {
  name: 'initrd-data',
  files: {
    '/usr/lib/atomixos/data': { body: { hostPath: new URL('./data.sh', import.meta.url) }, mode: 0o755 },
  },
  units: {
    'atomixos-data.service': requiredScript({
      description: 'Persistent Data and Machine Id',
      path: '/usr/lib/atomixos/data',
      requires: 'initrd-root-fs.target',
      after: 'initrd-root-fs.target',
      before: 'initrd-fs.target initrd-parse-etc.service',
      requiredBy: 'initrd-fs.target',
      service: {
        Environment: [
          `PARTITION_LINKS=${partitionLinkFolder}`,
          `DATA_MOUNT_POINT=${dataMountPoint}`,
          `DATA_UNAVAILABLE_MARKER=${dataUnavailableMarkerPath}`,
          `LAST_SEEN_TIME=${lastSeenTimePath}`,
          `FACTORY_RESET=${factoryResetPath}`,
          `FACTORY_RESET_MARKER=${factoryResetMarkerPath}`,
        ],
        // Long enough for a check of a full 16 GB disk.
        TimeoutStartSec: '400s',
      },
    }),
  },
  enable: ['atomixos-data.service'],
}
