import { ContentReader } from '../../tree/read-content.ts'
import type { Tree } from '../../tree/tree.ts'
import type { Evaluated } from '../evaluate.ts'
import { type Problem, sortProblems } from '../problems.ts'
import { checkNodes, checkSecrets } from './check-files.ts'
import { checkLogin } from './check-login.ts'
import { checkPrograms } from './check-programs.ts'
import { checkUnits } from './check-units.ts'

/**
 * Everything about a composed tree that would otherwise show on the device: programs, libraries, accounts, units,
 * links, logins, secrets. Reads contents, writes nothing; all problems at once, ordered.
 */
export async function checkTree(tree: Tree, evaluated: Evaluated): Promise<readonly Problem[]> {
  await using reader = new ContentReader()
  const problems = await Promise.all([
    checkNodes(tree, evaluated),
    checkPrograms(tree, reader),
    checkUnits(tree, evaluated, reader),
    checkLogin(tree, reader),
    checkSecrets(tree, reader),
  ])
  return sortProblems(problems.flat())
}
