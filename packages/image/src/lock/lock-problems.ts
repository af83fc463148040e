import type { Lock } from './lock.ts'
import type { LockRequests } from './requests.ts'

/** A target whose locked packages answer another question than the one the definition asks now. */
export interface LockProblem {
  readonly target: string
  readonly added: readonly string[]
  readonly removed: readonly string[]
}

/** What is stale in a lock; empty when it matches. Sorted by target. */
export function lockProblems(lock: Lock, requests: LockRequests): LockProblem[] {
  const problems: LockProblem[] = []
  for (const [target, request] of Object.entries(requests).sort(([a], [b]) => (a < b ? -1 : 1))) {
    const locked = lock.targets[target]
    const before = new Set(locked?.architecture === request.architecture ? locked.requested : [])
    const now = new Set(request.packages)
    const added = [...now].filter((name) => !before.has(name)).sort()
    const removed = [...before].filter((name) => !now.has(name)).sort()
    if (added.length > 0 || removed.length > 0) problems.push({ target, added, removed })
  }
  return problems
}

/** `atomixos.lock.json no longer matches the definition of target rootfs (added: podman; removed: nano)`. */
export function describeLockProblem(problem: LockProblem): string {
  const parts = [
    problem.added.length > 0 ? `added: ${problem.added.join(', ')}` : '',
    problem.removed.length > 0 ? `removed: ${problem.removed.join(', ')}` : '',
  ].filter((part) => part !== '')
  return `atomixos.lock.json no longer matches the definition of target ${problem.target} (${parts.join('; ')})`
}
