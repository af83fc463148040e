import { dirname } from 'node:path'
import {
  builtInPaths,
  dataUnavailableMarkerPath,
  hostNetworkDefaults,
  lanDefaults,
  lastSeenTimePath,
  renderChrony,
  runtimePaths,
} from '@atomixos/config'
import type { Module } from '@atomixos/image/definition/words.ts'
import { smallProgram } from './hardening.ts'

/**
 * Time from the internet, and for the LAN. For a board without a clock battery there are two floors: systemd sets the
 * clock to no earlier than the time of /usr/lib/clock-epoch, which is the time of the build; and the initrd to no
 * earlier than what is noted here once an hour and at every orderly stop.
 */
export const time: Module = {
  name: 'time',
  packages: ['chrony', 'tzdata'],
  users: { _chrony: { uid: 107, home: '/var/lib/chrony', description: 'chrony' } },
  enable: ['chrony.service', 'last-seen-time.timer', 'last-seen-time.service'],
  units: {
    'last-seen-time.service': {
      Unit: {
        Description: 'Note of the Time',
        DefaultDependencies: false,
        After: 'local-fs.target',
        // Stopped, and so noted for the last time, when all others are.
        Before: 'basic.target shutdown.target',
        Conflicts: 'shutdown.target',
        RequiresMountsFor: '/data',
        ConditionPathExists: `!${dataUnavailableMarkerPath}`,
      },
      Service: {
        Type: 'oneshot',
        // Nothing to run at the start: it is there to be stopped.
        RemainAfterExit: true,
        ExecReload: '/usr/lib/atomixos/note-time',
        ExecStop: '/usr/lib/atomixos/note-time',
        ...smallProgram,
        RestrictAddressFamilies: 'none',
        ReadWritePaths: dirname(lastSeenTimePath),
      },
      Install: { WantedBy: 'basic.target' },
    },
    'last-seen-time-note.service': {
      Unit: { Description: 'Note of the Time, Now' },
      Service: {
        Type: 'oneshot',
        ExecStart: '/usr/bin/systemctl reload last-seen-time.service',
        ...smallProgram,
      },
    },
    'last-seen-time.timer': {
      Unit: { Description: 'Hourly Note of the Time' },
      Timer: { OnActiveSec: '10min', OnUnitActiveSec: '1h', Unit: 'last-seen-time-note.service' },
      Install: { WantedBy: 'timers.target' },
    },
  },
  directories: { '/var/lib/chrony': { mode: 0o750, owner: '_chrony:_chrony' } },
  files: {
    '/usr/lib/clock-epoch': { body: '' },
    '/usr/lib/atomixos/note-time': {
      mode: 0o755,
      body: `#!/bin/sh
set -eu
file=${lastSeenTimePath}
mkdir -p "\${file%/*}"
date +%s >"$file.new"
sync "$file.new"
mv "$file.new" "$file"
`,
    },
    [builtInPaths.chrony]: { body: renderChrony(lanDefaults, hostNetworkDefaults.ntpServers) },
    '/usr/lib/systemd/system/chrony.service.d/10-device.conf': {
      body: [
        '[Service]',
        "# The operator's settings in place of the built-in ones, when there are any.",
        `BindReadOnlyPaths=-${runtimePaths.chrony}:${builtInPaths.chrony}`,
        '',
      ].join('\n'),
    },
  },
}
