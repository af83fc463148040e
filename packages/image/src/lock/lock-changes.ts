import type { Lock } from './lock.ts'

/** A package that one lock has and another has not, or has in another version. */
export interface LockChange {
  readonly target: string
  readonly name: string
  /** Version; undefined: it was not there. */
  readonly from: string | undefined
  readonly to: string | undefined
}

/** By target and name. A file that changed under the same version counts, too: its hash is shown with it. */
export function lockChanges(before: Lock, after: Lock): LockChange[] {
  const old = versions(before)
  const now = versions(after)
  const keys = [...new Set([...old.keys(), ...now.keys()])].sort()
  return keys
    .filter((key) => old.get(key)?.identity !== now.get(key)?.identity)
    .map((key) => {
      const [target, name] = key.split(' ') as [string, string]
      const [from, to] = [old.get(key), now.get(key)]
      const same = from?.version === to?.version
      return {
        target,
        name,
        from: same ? from?.identity : from?.version,
        to: same ? to?.identity : to?.version,
      }
    })
}

/** `rootfs: openssl 3.5.1-1 -> 3.5.4-1`, `rootfs: + podman 5.4.2`, `rootfs: - nano 8.4`. */
export function describeLockChange({ target, name, from, to }: LockChange): string {
  if (from === undefined) return `${target}: + ${name} ${to}`
  if (to === undefined) return `${target}: - ${name} ${from}`
  return `${target}: ${name} ${from} -> ${to}`
}

function versions(lock: Lock): Map<string, { version: string; identity: string }> {
  const found = new Map<string, { version: string; identity: string }>()
  for (const [target, { packages }] of Object.entries(lock.targets)) {
    for (const { name, version, sha256 } of packages) {
      found.set(`${target} ${name}`, { version, identity: `${version} (${sha256.slice(0, 12)})` })
    }
  }
  for (const [name, { version, files }] of Object.entries(lock.sources)) {
    const hashes = files.map(({ sha256 }) => sha256.slice(0, 12)).join(' ')
    found.set(`sources ${name}`, { version, identity: `${version} (${hashes})` })
  }
  for (const { name, version, integrity } of lock.npm) {
    found.set(`npm ${name}`, { version, identity: `${version} (${integrity.slice(0, 19)})` })
  }
  return found
}
