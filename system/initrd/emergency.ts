import type { Module } from '@atomixos/image/definition/words.ts'

const units = '/usr/lib/systemd/system'
/**
 * How long the initrd may take in all. A first boot takes seconds, a check of /data minutes; an emulated machine on a
 * busy host takes twenty times as long.
 */
const timeoutSeconds = 900
/** Up to the mounted root it is only waiting for a disk, which has 90 s to appear. Every try of a bad update costs this. */
const rootTimeoutSeconds = 120

/** Whatever goes wrong ends here: say it on the console, then reset. The boot counter decides what is tried next. */
export const emergency: Module = {
  name: 'initrd-emergency',
  files: {
    '/usr/lib/atomixos/emergency': {
      body: { hostPath: new URL('./emergency.sh', import.meta.url) },
      mode: 0o755,
    },
    // Covers what hangs instead of failing.
    [`${units}/initrd.target.d/timeout.conf`]: {
      body: `[Unit]\nJobTimeoutSec=${timeoutSeconds}s\nJobTimeoutAction=reboot-force\n`,
    },
    [`${units}/sysroot.mount.d/timeout.conf`]: {
      body: `[Unit]\nJobTimeoutSec=${rootTimeoutSeconds}s\nJobTimeoutAction=reboot-force\n`,
    },
  },
  units: {
    'emergency.target': {
      Unit: {
        Description: 'Report the Failure and Restart',
        Requires: 'emergency.service',
        After: 'emergency.service',
        AllowIsolate: true,
      },
    },
    'emergency.service': {
      Unit: {
        Description: 'Report the Failure and Restart',
        DefaultDependencies: false,
        SuccessAction: 'reboot-immediate',
        FailureAction: 'reboot-immediate',
      },
      Service: {
        Type: 'oneshot',
        ExecStart: '/usr/lib/atomixos/emergency',
        StandardOutput: 'tty',
        TTYPath: '/dev/console',
        TimeoutStartSec: '30s',
      },
    },
  },
}
