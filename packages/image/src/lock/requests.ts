import { toolTargets } from '../tools/targets.ts'

/** What a target of the lock is resolved for. */
export interface TargetRequest {
  /** Debian's name: `arm64`, `amd64`. */
  readonly architecture: string
  readonly packages: readonly string[]
}

export type LockRequests = Readonly<Record<string, TargetRequest>>

/** Source packages that we build ourselves. */
export const lockedSources: readonly string[] = ['u-boot']

/**
 * All targets of the lock: the device's trees as the definition asks for them (target name to package names), the
 * tools, and the binary part of the boot chain that Debian builds.
 */
export function lockRequests(
  deviceTrees: Readonly<Record<string, readonly string[]>>,
  toolsArchitecture: string,
): LockRequests {
  const requests: Record<string, TargetRequest> = {}
  for (const [name, packages] of Object.entries(deviceTrees)) requests[name] = request('arm64', packages)
  requests.firmware = request('arm64', ['arm-trusted-firmware'])
  for (const [name, packages] of Object.entries(toolTargets))
    requests[name] = request(toolsArchitecture, packages)
  return requests
}

function request(architecture: string, packages: readonly string[]): TargetRequest {
  return { architecture, packages: [...new Set(packages)].sort() }
}
