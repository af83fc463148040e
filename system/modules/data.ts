import { dataMountPoint } from '@atomixos/config'
import type { Module } from '@atomixos/image/definition/words.ts'

/**
 * The one place that persists. The initrd mounts it before this system starts, or an empty read-only folder in
 * its place when it is beyond repair: then nothing that needs it starts, and the health check fails.
 */
export const data: Module = {
  name: 'data',
  files: {
    // Folders that more than one program expects; each program's own state is its module's matter.
    '/usr/lib/tmpfiles.d/atomixos-data.conf': {
      body: [
        `d ${dataMountPoint}/config 0755 root root -`,
        `d ${dataMountPoint}/logs 0750 root adm -`,
        '',
      ].join('\n'),
    },
    // Empty means: an id for this boot only, and no presets of a first boot. The initrd writes the device's own.
    '/etc/machine-id': { body: '', mode: 0o444 },
  },
}
