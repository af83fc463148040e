import { rootlessAccount, rootlessId } from '@atomixos/config/operator/accounts.ts'
import { type ProgramResult, runProgram } from '../run-program.ts'

/** Where Quadlet looks for the units of that account: in memory, and not the account's to change. */
export const rootlessQuadletFolder = `/etc/containers/systemd/users/${rootlessId}`

const runtimeFolder = `/run/user/${rootlessId}`

/** Runs a program as the account of the applications without privileges, with its own system manager at hand. */
export function runRootless(
  argv: readonly [string, ...string[]],
  options: { readonly timeoutMs: number },
): Promise<ProgramResult> {
  const id = String(rootlessId)
  return runProgram(
    [
      '/usr/bin/setpriv',
      ...['--reuid', id, '--regid', id, '--init-groups'],
      '/usr/bin/env',
      ...['-C', '/', `USER=${rootlessAccount}`, `XDG_RUNTIME_DIR=${runtimeFolder}`],
      ...argv,
    ],
    options,
  )
}

/** Runs a program as root, or as that account. */
export function runAs(
  mode: 'rootful' | 'rootless',
  argv: readonly [string, ...string[]],
  options: { readonly timeoutMs: number },
): Promise<ProgramResult> {
  return mode === 'rootful' ? runProgram(argv, options) : runRootless(argv, options)
}

/** The manager that runs services of that kind. */
export function systemctlOf(mode: 'rootful' | 'rootless'): [string, ...string[]] {
  return mode === 'rootful' ? ['/usr/bin/systemctl'] : ['/usr/bin/systemctl', '--user']
}
