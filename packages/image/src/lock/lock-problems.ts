import type { Lock } from './lock.ts'
import type { LockDefinition } from './requests.ts'

/** A part of the lock that answers another question than the one the definition asks now. */
export interface LockProblem {
  /** Name of a target, or `sources`, or `npm`. */
  readonly target: string
  readonly added: readonly string[]
  readonly removed: readonly string[]
  /** Packages whose dependants shall do without them, and those that are no longer left out. */
  readonly omitted: readonly string[]
  readonly restored: readonly string[]
}

/** What is stale in a lock; empty when it matches. Targets first, by name. */
export function lockProblems(lock: Lock, definition: LockDefinition): LockProblem[] {
  const names = [...new Set([...Object.keys(definition.targets), ...Object.keys(lock.targets)])].sort()
  const problems = names.map((target) => {
    const request = definition.targets[target]
    const locked = lock.targets[target]
    // For another architecture everything has to be asked for anew.
    const comparable = request === undefined || locked?.architecture === request.architecture
    const asked = difference(target, comparable ? (locked?.requested ?? []) : [], request?.packages ?? [])
    const { added, removed } = difference(target, locked?.omitted ?? [], request?.omit ?? [])
    // Of a target that is new or gone, the packages say enough.
    return locked && request ? { ...asked, omitted: added, restored: removed } : asked
  })
  problems.push(difference('sources', Object.keys(lock.sources), definition.sources))
  const npm = (packages: Lock['npm']) =>
    packages.map(({ name, version, integrity }) => `${name}@${version} ${integrity}`)
  problems.push(difference('npm', npm(lock.npm), npm(definition.npm)))
  return problems.filter(({ target: _, ...lists }) => Object.values(lists).some(({ length }) => length > 0))
}

function difference(target: string, before: readonly string[], now: readonly string[]): LockProblem {
  return {
    target,
    added: now.filter((name) => !before.includes(name)).sort(),
    removed: before.filter((name) => !now.includes(name)).sort(),
    omitted: [],
    restored: [],
  }
}

/** `atomixos.lock.json no longer matches the definition of rootfs (added: podman; removed: nano)` */
export function describeLockProblem({ target, added, removed, omitted, restored }: LockProblem): string {
  const list = (title: string, names: readonly string[]) =>
    names.length === 0 ? [] : [`${title}: ${names.map((name) => name.split(' ')[0]).join(', ')}`]
  const lists = [
    ...[...list('added', added), ...list('removed', removed)],
    ...[...list('omitted', omitted), ...list('no longer omitted', restored)],
  ]
  return `atomixos.lock.json no longer matches the definition of ${target} (${lists.join('; ')})`
}
