import { UserError } from '../errors.ts'
import { evaluate } from './evaluate.ts'
import { renderProblems } from './problems.ts'
import type { Board, TreeDefinition } from './words.ts'

/** What a target of the lock file must hold: asked for by name, and what of their dependencies is not wanted. */
export interface PackageRequest {
  readonly packages: readonly string[]
  /** Dependencies on them are taken as fulfilled. */
  readonly omit: readonly string[]
}

/** Per target of the lock file, from every tree of every board. Throws a UserError when a definition is wrong. */
export function requestedPackages(boards: Iterable<Board>): ReadonlyMap<string, PackageRequest> {
  const trees = new Set([...boards].flatMap((board) => [board.rootfs, board.initrd]))
  const requests = new Map<string, { packages: Set<string>; omit: Set<string> }>()
  for (const tree of trees) {
    const request = requests.get(tree.lockTarget) ?? { packages: new Set(), omit: new Set() }
    const evaluated = mustEvaluate(tree)
    for (const name of evaluated.packages) request.packages.add(name)
    for (const name of evaluated.omitPackages.keys()) request.omit.add(name)
    requests.set(tree.lockTarget, request)
  }
  return new Map(
    [...requests].map(([target, { packages, omit }]) => [
      target,
      { packages: [...packages].sort(), omit: [...omit].filter((name) => !packages.has(name)).sort() },
    ]),
  )
}

/** The evaluated tree, or a UserError with all of its problems. */
export function mustEvaluate(tree: TreeDefinition) {
  const { evaluated, problems } = evaluate(tree)
  if (evaluated !== undefined) return evaluated
  throw new UserError(`the definition of ${tree.name} contradicts itself\n${renderProblems(problems)}`, {
    hint: 'correct the modules under system/',
    exitCode: 2,
  })
}
