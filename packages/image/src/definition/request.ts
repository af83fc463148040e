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
  const requests = new Map<string, PackageRequest>()
  const first = new Map<string, string>()
  for (const tree of trees) {
    const { packages, omitPackages } = mustEvaluate(tree)
    const earlier = requests.get(tree.lockTarget)
    const omit = [...omitPackages.keys()].sort()
    if (earlier !== undefined && omit.join() !== earlier.omit.join()) {
      throw new UserError(
        `${first.get(tree.lockTarget)} and ${tree.name} share the target ${tree.lockTarget} and omit different packages`,
        { hint: 'omit the same in both, or give one of them a target of its own', exitCode: 2 },
      )
    }
    first.set(tree.lockTarget, tree.name)
    requests.set(tree.lockTarget, {
      packages: [...new Set([...(earlier?.packages ?? []), ...packages])].sort(),
      omit,
    })
  }
  return requests
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
