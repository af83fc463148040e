import { rescueArgument } from '@atomixos/config'
import type { Module } from '@atomixos/image/definition/words.ts'

/**
 * A root shell on the serial console, in the one boot that U-Boot was told to give it. U-Boot has cleared the request,
 * and stored that, before it hands on the argument: what ends this boot ends the shell. docs/serial-recovery.md.
 */
export const rescue: Module = {
  name: 'rescue',
  enable: ['rescue-shell.service'],
  units: {
    'rescue-shell.service': {
      Unit: {
        Description: 'Root Shell on the Serial Console, Once',
        // Early, and not stopped by anything but the end of the system: it is wanted when the rest does not come up.
        DefaultDependencies: false,
        After: 'local-fs.target systemd-tmpfiles-setup.service',
        Conflicts: 'shutdown.target',
        Before: 'shutdown.target',
        IgnoreOnIsolate: true,
        ConditionKernelCommandLine: rescueArgument,
      },
      Service: {
        ExecStart: '/usr/lib/atomixos/rescue-shell',
        Environment: ['HOME=/root', 'TERM=vt220'],
        WorkingDirectory: '/root',
        StandardInput: 'tty-force',
        StandardOutput: 'inherit',
        StandardError: 'inherit',
        // The kernel's console, which U-Boot names: the serial line on every board.
        TTYPath: '/dev/console',
        TTYReset: true,
        TTYVHangup: true,
        IgnoreSIGPIPE: false,
        // What a shell with a terminal ends at; it does not at SIGTERM.
        SendSIGHUP: true,
        UtmpIdentifier: 'cons',
      },
      Install: { WantedBy: 'sysinit.target' },
    },
  },
  files: {
    '/usr/lib/atomixos/rescue-shell': {
      mode: 0o755,
      body: `#!/bin/sh
cat <<'TEXT'

AtomixOS: root shell, for this start only. In it no slot is confirmed or given up, and nothing is updated by itself.
"exit" restarts the device as usual; so does an hour without a key.

TEXT
# /dev/console controls no session, and without that Ctrl-C ends nothing: the last of its devices is where people are.
read -r consoles </sys/class/tty/console/active
line=/dev/\${consoles##* }
TMOUT=3600 setsid --ctty --wait /bin/bash --login <"$line" >"$line" 2>&1 || true
# The way back: an ordinary start.
exec systemctl reboot --no-block
`,
    },
    // Two programs on one line would share what is typed.
    '/usr/lib/systemd/system/serial-getty@.service.d/10-rescue.conf': {
      body: `[Unit]\nConditionKernelCommandLine=!${rescueArgument}\n`,
    },
    // Its restart would take the shell away from whoever is about to find out why it came to this.
    '/usr/lib/systemd/system/emergency.service.d/20-rescue.conf': {
      body: `[Unit]\nConditionKernelCommandLine=!${rescueArgument}\n`,
    },
  },
}
