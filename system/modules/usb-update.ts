import { operatorConfigPath, usbBundlePath, usbDeltaPath, usbUpdateAllowedPath } from '@atomixos/config'
import type { Module } from '@atomixos/image/definition/words.ts'
import { hardening } from './hardening.ts'
import { leanMemoryEnvironment } from './runtime.ts'

/** Updates on a USB stick, where a person has allowed it on the device: docs/usb.md. */
export const usbUpdate: Module = {
  name: 'usb-update',
  units: {
    'usb-update@.service': {
      Unit: {
        Description: 'Update from the USB Disk %i',
        // Off unless allowed, and never on a device that belongs to nobody yet.
        ConditionPathExists: [usbUpdateAllowedPath, operatorConfigPath],
        // A stick that is in at the start waits until everything was started; the target does not wait for it.
        After: 'multi-user.target',
      },
      Service: {
        // A start with a stick in counts as finished while the stick waits for the new system to prove itself.
        Type: 'exec',
        // One at a time: sticks have several partitions, and hubs several sticks.
        ExecStart: '/usr/bin/flock /run/atomixos/usb-update.lock /usr/bin/atomixctl usb-update %i',
        Environment: leanMemoryEnvironment,
        ExecStopPost: `/usr/bin/rm -f ${usbBundlePath} ${usbDeltaPath}`,
        RuntimeMaxSec: '2h',
        Nice: 10,
        IOSchedulingClass: 'idle',
        // The stick is mounted here and nowhere else.
        PrivateMounts: true,
        ...hardening,
        ProtectSystem: 'strict',
        ReadWritePaths: '-/data -/run',
        PrivateTmp: true,
        ProtectClock: true,
        RestrictAddressFamilies: 'AF_UNIX AF_NETLINK',
        // To mount; to write U-Boot's environment; to restart.
        CapabilityBoundingSet: 'CAP_SYS_ADMIN CAP_DAC_OVERRIDE CAP_SYS_BOOT',
      },
    },
  },
  files: {
    '/usr/lib/udev/rules.d/90-usb-update.rules': {
      body: [
        'ACTION=="add", SUBSYSTEM=="block", SUBSYSTEMS=="usb", ENV{ID_FS_TYPE}=="vfat|exfat", \\',
        '  TAG+="systemd", ENV{SYSTEMD_WANTS}+="usb-update@%k.service"',
        '',
      ].join('\n'),
    },
    // Of a power cut while something was copied.
    '/usr/lib/tmpfiles.d/atomixos-usb-update.conf': {
      body: `r! ${usbBundlePath}\nr! ${usbDeltaPath}\n`,
    },
  },
}
