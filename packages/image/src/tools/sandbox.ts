import { lstatSync, readdirSync, readlinkSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { type HostArchitecture, hostArchitecture } from './host.ts'
import type { ToolMount } from './tools.ts'

/** What starts a program of the tree on the host itself, whatever C library the host has; its path follows. */
export function loaderArgv(treeDir: string, host: HostArchitecture): [string, ...string[]] {
  const libraryDir = join(treeDir, host.libraryDir)
  return [join(libraryDir, host.loader), '--library-path', libraryDir]
}

/** What every program sees, whoever starts it and wherever. */
export const sandboxEnvironment: Readonly<Record<string, string>> = {
  HOME: '/tmp',
  LC_ALL: 'C.UTF-8',
  PATH: '/usr/bin:/usr/sbin',
  TZ: 'UTC',
}

/** bwrap's own folders; the tree's must not cover them. */
const providedBySandbox = new Set(['dev', 'proc', 'run', 'sys', 'tmp'])

/** The options that show a tree as the root file system. Mount points for `mounts` are made as needed. */
export function rootOptions(treeDir: string): string[] {
  const options: string[] = []
  for (const name of readdirSync(treeDir).sort()) {
    if (providedBySandbox.has(name)) continue
    const path = join(treeDir, name)
    if (lstatSync(path).isSymbolicLink()) options.push('--symlink', readlinkSync(path), `/${name}`)
    else options.push('--ro-bind', path, `/${name}`)
  }
  return options
}

/** bwrap's arguments up to the program: no network, no other process, no path of the host but the mounts. */
export function sandboxOptions(options: {
  readonly root: readonly string[]
  readonly mounts: readonly ToolMount[]
  readonly cwd: string | undefined
  readonly env: Readonly<Record<string, string>>
}): string[] {
  const mounts = options.mounts.flatMap(({ hostPath, guestPath, writable }) => [
    writable ? '--bind' : '--ro-bind',
    // bwrap is started in the host's root folder.
    resolve(hostPath),
    guestPath,
  ])
  const environment = Object.entries({ ...sandboxEnvironment, ...shiftedClock(), ...options.env })
  return [
    '--unshare-all',
    '--unshare-user',
    ...['--uid', '0', '--gid', '0', '--hostname', 'build'],
    ...['--die-with-parent', '--new-session'],
    ...options.root,
    ...['--proc', '/proc', '--dev', '/dev', '--perms', '1777', '--tmpfs', '/tmp'],
    ...mounts,
    ...['--remount-ro', '/'],
    ...['--chdir', options.cwd ?? '/tmp', '--clearenv'],
    ...environment.flatMap(([name, value]) => ['--setenv', name, value]),
    '--',
  ]
}

/** As programs in the sandbox see it. */
export function libfaketimePath(): string {
  return `/${hostArchitecture().libraryDir}/faketime/libfaketime.so.1`
}

/**
 * For `verify-reproducible`: programs see another time, by libfaketime of the tree. Every other build runs without;
 * a tree that lacks the library gets a warning of the loader and the true time.
 */
function shiftedClock(): Record<string, string> {
  const offsetSeconds = process.env.ATOMIXOS_CLOCK_OFFSET
  if (offsetSeconds === undefined || !/^\d+$/.test(offsetSeconds)) return {}
  return {
    LD_PRELOAD: libfaketimePath(),
    FAKETIME: `+${offsetSeconds}s`,
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
    // The times of files are inputs, not the present.
    NO_FAKE_STAT: '1',
  }
}
