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
