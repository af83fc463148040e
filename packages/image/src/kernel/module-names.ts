import { UserError } from '../errors.ts'
import type { Tree } from '../tree/tree.ts'

/** Module names use `_` where file names may use `-`; both spellings mean the same module. */
export function moduleName(nameOrPath: string): string {
  const file = nameOrPath.slice(nameOrPath.lastIndexOf('/') + 1)
  return file.replace(/\.ko(\.xz|\.zst|\.gz)?$/, '').replaceAll('-', '_')
}

export interface KernelModuleFiles {
  /** `6.12.107+deb13-arm64` */
  readonly release: string
  /** `/usr/lib/modules/<release>` */
  readonly folder: string
  /** Module name to its path in the tree. */
  readonly paths: ReadonlyMap<string, string>
}

const modulePattern = /^(\/(?:usr\/)?lib\/modules\/([^/]+))\/.*\.ko(?:\.xz)?$/

/** Where the modules of a kernel package are. `release` is needed only when the tree holds several kernels. */
export function findModules(tree: Tree, release?: string): KernelModuleFiles {
  const folders = new Map<string, { folder: string; paths: Map<string, string> }>()
  for (const [path, node] of tree) {
    const match = node.type === 'file' ? modulePattern.exec(path) : null
    if (match === null) continue
    let found = folders.get(match[2]!)
    if (found === undefined) {
      found = { folder: match[1]!, paths: new Map() }
      folders.set(match[2]!, found)
    }
    found.paths.set(moduleName(path), path)
  }
  const releases = [...folders.keys()].sort()
  const wanted = release ?? (releases.length === 1 ? releases[0]! : undefined)
  const found = wanted === undefined ? undefined : folders.get(wanted)
  if (wanted === undefined || found === undefined) {
    throw new UserError(
      `no kernel modules for ${release ?? 'one single kernel'} in the packages: they hold ${releases.join(', ') || 'none'}`,
      { hint: 'request one linux-image package in the lock file' },
    )
  }
  return { release: wanted, folder: found.folder, paths: found.paths }
}

/** Names in `modules.builtin` (lines of paths). */
export function parseBuiltinNames(text: string): Set<string> {
  return new Set(text.split('\n').filter(Boolean).map(moduleName))
}

/** Wanted names that neither are modules nor built in, each with the names that were perhaps meant. */
export function unknownModules(
  wanted: readonly string[],
  known: ReadonlySet<string>,
): { readonly name: string; readonly nearMisses: readonly string[] }[] {
  return wanted
    .filter((name) => !known.has(moduleName(name)))
    .map((name) => ({ name, nearMisses: nearMisses(moduleName(name), known) }))
}

/** At most five known names within a third of the length in edits, or that contain the word; nearest first. */
export function nearMisses(name: string, known: Iterable<string>): string[] {
  const limit = Math.max(1, Math.floor(name.length / 3))
  const scored: { candidate: string; distance: number }[] = []
  for (const candidate of known) {
    const contains =
      name.length >= 4 && (candidate.includes(name) || (candidate.length >= 4 && name.includes(candidate)))
    const distance = editDistance(name, candidate, contains ? Number.POSITIVE_INFINITY : limit)
    if (contains) scored.push({ candidate, distance: Math.min(distance, limit) })
    else if (distance <= limit) scored.push({ candidate, distance })
  }
  scored.sort((a, b) => a.distance - b.distance || (a.candidate < b.candidate ? -1 : 1))
  return scored.slice(0, 5).map(({ candidate }) => candidate)
}

/** Levenshtein distance; anything above `limit` may come back as any number above it. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) > limit) return limit + 1
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      row.push(Math.min(replaced, previous[j]! + 1, row[j - 1]! + 1))
    }
    previous = row
  }
  return previous[b.length]!
}
