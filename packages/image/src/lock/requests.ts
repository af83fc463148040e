import { containerOmit, containerPackages } from '../container-image/images.ts'
import type { PackageRequest } from '../definition/request.ts'
import { buildArchitectures } from '../tools/host.ts'
import { type ToolTargetName, toolLockTarget, toolTargets } from '../tools/targets.ts'
import type { LockedNpmPackage } from './lock.ts'
import { readNpmPackages } from './npm-packages.ts'

/** What a target of the lock is resolved for. */
export interface TargetRequest extends PackageRequest {
  /** Debian's name: `arm64`, `amd64`. */
  readonly architecture: string
}

/** All that a lock answers: the other half of the comparison that finds a stale one. */
export interface LockDefinition {
  readonly targets: Readonly<Record<string, TargetRequest>>
  /** Source packages that we build ourselves. */
  readonly sources: readonly string[]
  readonly npm: readonly LockedNpmPackage[]
}

/**
 * What the lock must hold: the packages of the device's trees (by target name), the tools, the boot
 * chain's parts, and the device's runtime as `package-lock.json` of the checkout pins it.
 */
export async function lockDefinition(options: {
  readonly rootDir: string
  readonly deviceTrees: Readonly<Record<string, PackageRequest>>
}): Promise<LockDefinition> {
  const targets: Record<string, TargetRequest> = {}
  for (const [name, { packages, omit }] of Object.entries(options.deviceTrees))
    targets[name] = request('arm64', packages, omit)
  targets.firmware = request('arm64', ['arm-trusted-firmware'])
  targets.apps = request('arm64', containerPackages, containerOmit)
  for (const architecture of buildArchitectures) {
    for (const [name, packages] of Object.entries(toolTargets)) {
      targets[toolLockTarget(name as ToolTargetName, architecture)] = request(architecture, packages)
    }
  }
  return { targets, sources: ['u-boot'], npm: await readNpmPackages(options.rootDir) }
}

function request(
  architecture: string,
  packages: readonly string[],
  omit: readonly string[] = [],
): TargetRequest {
  return { architecture, packages: [...new Set(packages)].sort(), omit: [...new Set(omit)].sort() }
}
