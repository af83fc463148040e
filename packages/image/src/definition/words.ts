/**
 * The words in which `system/` describes an operating system. Values only: evaluating them needs no network,
 * no disk and no clock. Two modules that claim the same path, unit, account name or id, or setting, are an
 * error that names both.
 */

import type { DriverNeeds } from '../kernel/board-drivers.ts'

/** One concern: what it needs and what it puts into a tree. Merged with others into one tree. */
export interface Module {
  /** `network`, `time`, `ssh`... Named in every conflict. */
  readonly name: string
  /** Debian packages by name; their dependencies come with them unless `omitPackages` says otherwise. */
  readonly packages?: readonly string[]
  /**
   * Packages that others depend on and the device does not need, each with the reason. Neither they nor what only
   * they need are locked, downloaded or in the bill of materials; the checks of the tree prove that nothing misses them.
   */
  readonly omitPackages?: Readonly<Record<string, string>>
  readonly groups?: Readonly<Record<string, Group>>
  readonly users?: Readonly<Record<string, User>>
  /** systemd units by file name: `os-upgrade.timer`, `container@.service`. */
  readonly units?: Readonly<Record<string, Unit>>
  /** Units of packages (or of modules) to start: linked into `.wants` as their [Install] section says. */
  readonly enable?: readonly string[]
  /** Units that must never start, each with the reason. */
  readonly mask?: Readonly<Record<string, string>>
  /** Files by absolute path. A file that a package ships is replaced only with `replaces`. */
  readonly files?: Readonly<Record<string, File>>
  readonly directories?: Readonly<Record<string, Directory>>
  /** Link path to target. */
  readonly symlinks?: Readonly<Record<string, Symlink | string>>
  /** Kernel modules by name; those they depend on come with them. */
  readonly kernelModules?: readonly string[]
  /** Kernel modules to load early at boot (/usr/lib/modules-load.d). Included as `kernelModules` are. */
  readonly loadKernelModules?: readonly string[]
  readonly sysctls?: Readonly<Record<string, string | number>>
  readonly mounts?: Readonly<Record<string, Mount>>
  /** What packages bring and the device does not need: path patterns (`/usr/share/doc/**`) with the reason. */
  readonly leaveOut?: Readonly<Record<string, string>>
  /** Paths that a `leaveOut` pattern of any module would remove and that must stay, each with the reason. */
  readonly keep?: Readonly<Record<string, string>>
  /** Programs that may be setuid or setgid, each with the reason; on any other the bits are a problem. */
  readonly privileged?: Readonly<Record<string, string>>
  /** Setuid and setgid bits to take from programs of packages, each with the reason. */
  readonly unprivileged?: Readonly<Record<string, string>>
}

export interface Group {
  readonly gid: number
}

export interface User {
  readonly uid: number
  /** Primary group by name; a group of the same name and id is made when left out. */
  readonly group?: string
  readonly groups?: readonly string[]
  readonly home?: string
  readonly shell?: string
  readonly description?: string
  /** First of the 65536 subordinate user and group ids (/etc/subuid, /etc/subgid) for rootless containers. */
  readonly subordinateIds?: number
}

export type UnitValue = string | number | boolean | readonly (string | number)[]

/** Section to directives; a list repeats the directive. */
export interface Unit {
  readonly [section: string]: Readonly<Record<string, UnitValue>>
}

/**
 * `hostPath`: bytes of a file beside the definition (`new URL('./x', import.meta.url)`).
 * `template`: text in which `{{fact}}` stands for a fact of the build, such as `version` or `series`.
 * `concatenated`: the files of packages that match the pattern, in order of path, each ending in a newline.
 */
export type FileBody =
  | string
  | Uint8Array
  | { readonly hostPath: string | URL }
  | { readonly template: string }
  | { readonly concatenated: string }

export interface File {
  readonly body: FileBody
  /** Default 0o644. */
  readonly mode?: number
  /** `user:group` by name; default `root:root`. */
  readonly owner?: string
  /** The package whose file this replaces, on purpose. */
  readonly replaces?: string
}

export interface Directory {
  /** Default 0o755. */
  readonly mode?: number
  readonly owner?: string
}

export interface Symlink {
  readonly target: string
  readonly replaces?: string
}

export interface Mount {
  readonly what: string
  readonly type: string
  readonly options?: readonly string[]
  /** Extra directives for the [Unit] section. */
  readonly unit?: Readonly<Record<string, UnitValue>>
}

/** A tree to be made: the root file system or the initrd. */
export interface TreeDefinition {
  readonly name: string
  /** Name of the target in the lock file that holds its packages. */
  readonly lockTarget: string
  readonly modules: readonly Module[]
}

/** Everything that is special about one board. */
export interface Board {
  readonly name: string
  /** The flat device tree's root `compatible`, most specific first. */
  readonly compatible: readonly string[]
  readonly rootfs: TreeDefinition
  readonly initrd: TreeDefinition
  /** File names below the kernel package's device tree folder that go into the boot slot. */
  readonly deviceTrees: readonly string[]
  /** What its device trees need of drivers, for the check that each is where it must be. */
  readonly drivers?: DriverNeeds
  /** Kernel command line, without what U-Boot adds (console, root, slot). */
  readonly kernelArguments: readonly string[]
  readonly firmware: readonly Firmware[]
}

/** One U-Boot build. The one named in `flashed` goes into the image's raw region. */
export interface Firmware {
  readonly name: string
  readonly defconfig: string
  readonly flashed: boolean
}
