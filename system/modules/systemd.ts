import { journalBytesMax } from '@atomixos/config'
import type { Module } from '@atomixos/image/definition/words.ts'
import { smallProgram } from './hardening.ts'

const quietSubsystems = ['tty', 'vc', 'memory', 'workqueue', 'bdi', 'cpu', 'clocksource', 'event_source']
  .map((name) => `--subsystem-nomatch=${name}`)
  .join(' ')

/** systemd and D-Bus, cut down to a device that is composed as a whole, never installed and never set up. */
export const systemd: Module = {
  name: 'systemd',
  packages: [
    ...['systemd', 'systemd-sysv', 'udev', 'libpam-systemd', 'libnss-systemd', 'libnss-myhostname'],
    ...['dbus-broker', 'dbus-user-session'],
  ],
  groups: {
    'systemd-journal': { gid: 101 },
    input: { gid: 110 },
    sgx: { gid: 111 },
    clock: { gid: 112 },
    kvm: { gid: 113 },
    render: { gid: 114 },
  },
  users: {
    messagebus: { uid: 102, description: 'system message bus' },
  },
  enable: ['dbus-broker.service', 'reboot-watchdog.service'],
  units: {
    // The kernel argument sets the time for restarts as well: thirty seconds, in which containers cannot stop.
    'reboot-watchdog.service': {
      Unit: {
        Description: 'Time that the Watchdog Gives a Restart',
        ConditionKernelCommandLine: 'systemd.watchdog_sec',
        After: 'dbus.socket',
      },
      Service: {
        Type: 'oneshot',
        RemainAfterExit: true,
        ExecStart: [
          '/usr/bin/busctl set-property org.freedesktop.systemd1 /org/freedesktop/systemd1',
          'org.freedesktop.systemd1.Manager RebootWatchdogUSec t 600000000',
        ].join(' '),
        ...smallProgram,
      },
      Install: { WantedBy: 'multi-user.target' },
    },
  },
  symlinks: {
    '/etc/systemd/system/default.target': '/usr/lib/systemd/system/multi-user.target',
    '/etc/systemd/user/dbus.service': '/usr/lib/systemd/user/dbus-broker.service',
    '/usr/bin/init': { target: '../lib/systemd/systemd' },
  },
  files: {
    '/usr/lib/pam.d/systemd-user': {
      replaces: 'systemd',
      body: [
        'account required pam_unix.so',
        'session optional pam_loginuid.so',
        'session optional pam_keyinit.so force revoke',
        '@include common-session-noninteractive',
        'session optional pam_systemd.so',
        '',
      ].join('\n'),
    },
    '/usr/lib/systemd/journald.conf.d/10-device.conf': {
      body: [
        '[Journal]',
        '# Memory only: the flash is spared, and what must last is copied to /data by system-log.service.',
        'Storage=volatile',
        `RuntimeMaxUse=${journalBytesMax >> 20}M`,
        'Audit=no',
        '',
      ].join('\n'),
    },
    // Three quarters of what is triggered by default are drivers and screen terminals: nothing here waits for them.
    '/usr/lib/systemd/system/systemd-udev-trigger.service.d/10-device.conf': {
      body: [
        '[Service]',
        'ExecStart=',
        'ExecStart=-udevadm trigger --type=devices --action=add --subsystem-match=tty --sysname-match=ttyS* --sysname-match=ttyAMA* --sysname-match=hvc*',
        `ExecStart=-udevadm trigger --type=devices --action=add --prioritized-subsystem=block,net ${quietSubsystems}`,
        '',
      ].join('\n'),
    },
    // In place of the unit that is left out.
    '/usr/lib/systemd/system/kmod-static-nodes.service.d/10-device.conf': {
      body: '[Unit]\nBefore=systemd-tmpfiles-setup-dev.service\n',
    },
    // The hardware watchdog is an option: U-Boot's variable WATCHDOG switches it on, restarts included.
    '/usr/lib/systemd/system.conf.d/10-device.conf': {
      body: '[Manager]\nRuntimeWatchdogSec=off\nRebootWatchdogSec=off\n',
    },
    // Root has no password: a shell here would help nobody. The counter in U-Boot goes on instead.
    '/usr/lib/systemd/system/emergency.service.d/10-device.conf': {
      body: [
        '[Unit]',
        'SuccessAction=reboot-force',
        'FailureAction=reboot-force',
        '',
        '[Service]',
        'ExecStartPre=',
        'ExecStart=',
        'ExecStart=/usr/lib/atomixos/emergency',
        'StandardInput=null',
        'StandardOutput=tty',
        'TTYPath=/dev/console',
        '',
      ].join('\n'),
    },
    '/usr/lib/atomixos/emergency': {
      mode: 0o755,
      body: [
        '#!/bin/sh',
        'echo "AtomixOS could not start. Failed units:"',
        'systemctl --state=failed --plain --no-legend --no-pager --full list-units',
        'echo "The machine restarts in 10 seconds."',
        'sync',
        'sleep 10',
        '',
      ].join('\n'),
    },
    '/usr/lib/systemd/coredump.conf.d/10-device.conf': { body: '[Coredump]\nStorage=none\n' },
  },
  sysctls: {
    'kernel.panic': 10,
    'kernel.panic_on_oops': 1,
    'kernel.sysrq': 0,
    'kernel.kptr_restrict': 2,
    'kernel.dmesg_restrict': 1,
    'kernel.unprivileged_bpf_disabled': 1,
    'kernel.yama.ptrace_scope': 1,
    'fs.protected_fifos': 2,
    'fs.protected_regular': 2,
    'fs.protected_hardlinks': 1,
    'fs.protected_symlinks': 1,
    'vm.panic_on_oom': 0,
  },
}
