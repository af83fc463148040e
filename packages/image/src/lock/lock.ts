/**
 * `atomixos.lock.json`: every input of a build that is not in this repository. Ordered, readable in a diff,
 * without a host name; ends in a newline.
 */
export interface Lock {
  readonly version: 1
  /** Debian codename, from the signed Release file, never typed. */
  readonly series: string
  /** Date of the newest Release file, seconds since 1970: the one time stamp of everything we build. */
  readonly sourceDateEpoch: number
  readonly archives: readonly LockedArchive[]
  readonly targets: Readonly<Record<string, LockedTarget>>
  readonly sources: Readonly<Record<string, LockedSource>>
  readonly npm: readonly LockedNpmPackage[]
}

/** One signed suite: `debian trixie`, `debian-security trixie-security`... */
export interface LockedArchive {
  /** Which mirror it is relative to. */
  readonly archive: 'debian' | 'debian-security'
  readonly suite: string
  readonly releaseSha256: string
  readonly releaseDate: string
}

export interface LockedTarget {
  readonly architecture: string
  /** What was asked for; a difference from the definition makes the lock stale. Sorted. */
  readonly requested: readonly string[]
  /** Taken as installed while the others were resolved. Part of the question, too. Sorted. */
  readonly omitted: readonly string[]
  readonly packages: readonly LockedPackage[]
}

export interface LockedPackage extends LockedFile {
  readonly name: string
  readonly version: string
  readonly architecture: string
  /** Source package and its version, for the bill of materials. */
  readonly source: string
  readonly sourceVersion: string
}

export interface LockedFile {
  readonly archive: 'debian' | 'debian-security'
  /** Relative to the archive: `pool/main/p/podman/podman_5.4.2+ds1-2_arm64.deb`. */
  readonly path: string
  readonly sizeBytes: number
  readonly sha256: string
}

/** A source package by its files; the .dsc may be missing on a mirror, so it is not relied upon. */
export interface LockedSource {
  readonly version: string
  readonly files: readonly LockedFile[]
}

export interface LockedNpmPackage {
  readonly name: string
  readonly version: string
  /** Subresource integrity as the registry gives it: `sha512-...`. */
  readonly integrity: string
}
