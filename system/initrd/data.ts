import {
  dataMountPoint,
  dataUnavailableMarkerPath,
  lastSeenTimePath,
  partitionLinkFolder,
} from '@atomixos/config'
import type { Module } from '@atomixos/image/definition/words.ts'

/** /data, the machine id and a clock that does not go back, before the system starts. */
export const data: Module = {
  name: 'initrd-data',
  files: {
    '/usr/lib/atomixos/data': { body: { hostPath: new URL('./data.sh', import.meta.url) }, mode: 0o755 },
  },
  units: {
    'atomixos-data.service': {
      Unit: {
        Description: 'Persistent Data and Machine Id',
        DefaultDependencies: false,
        Requires: 'initrd-root-fs.target',
        After: 'initrd-root-fs.target',
        Before: 'initrd-fs.target initrd-parse-etc.service shutdown.target',
        Conflicts: 'shutdown.target',
        OnFailure: 'emergency.target',
        OnFailureJobMode: 'replace-irreversibly',
      },
      Service: {
        Type: 'oneshot',
        RemainAfterExit: true,
        ExecStart: '/usr/lib/atomixos/data',
        Environment: [
          `PARTITION_LINKS=${partitionLinkFolder}`,
          `DATA_MOUNT_POINT=${dataMountPoint}`,
          `DATA_UNAVAILABLE_MARKER=${dataUnavailableMarkerPath}`,
          `LAST_SEEN_TIME=${lastSeenTimePath}`,
        ],
        // Long enough for a check of a full 16 GB disk.
        TimeoutStartSec: '400s',
      },
      Install: { RequiredBy: 'initrd-fs.target' },
    },
  },
  enable: ['atomixos-data.service'],
}
