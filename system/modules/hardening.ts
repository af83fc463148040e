/**
 * What services of ours must not do, for the [Service] section of their units. Each adds what else it can live without:
 * `./atomixos e2e fresh-flash` prints the scores of all, and fails on one above 5.
 */

/** What none of them needs. Whoever does needs a reason beside the exception. */
export const hardening = {
  ProtectHome: true,
  ProtectHostname: true,
  ProtectKernelLogs: true,
  ProtectKernelModules: true,
  RestrictNamespaces: true,
  RestrictRealtime: true,
  RestrictSUIDSGID: true,
  LockPersonality: true,
  NoNewPrivileges: true,
} as const

/**
 * Of a program of a few lines that writes a file, or asks systemd for something: root, but without any of root's
 * rights, so that it opens what root owns and asks as root, and no more. It says itself where it writes. Not
 * `ProtectProc`: systemctl takes a /proc without the first process for a chroot, and does nothing.
 */
export const smallProgram = {
  ...hardening,
  CapabilityBoundingSet: '',
  ProtectSystem: 'strict',
  ProtectClock: true,
  ProtectControlGroups: true,
  ProtectKernelTunables: true,
  PrivateDevices: true,
  PrivateNetwork: true,
  RestrictAddressFamilies: 'AF_UNIX',
  MemoryDenyWriteExecute: true,
  SystemCallArchitectures: 'native',
  SystemCallFilter: '@system-service',
  SystemCallErrorNumber: 'EPERM',
} as const
