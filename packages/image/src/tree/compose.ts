import type { Evaluated } from '../definition/evaluate.ts'
import type { Problem } from '../definition/problems.ts'
import { checkSysusers, parseSysusers } from '../definition/sysusers.ts'
import { accountFiles } from './accounts.ts'
import { enableUnits } from './enable-units.ts'
import { type LeftOut, type MergedPackages, mergePackages, type PackageTree } from './merge-packages.ts'
import { compilePattern } from './patterns.ts'
import { placeClaims } from './place-claims.ts'
import { ContentReader } from './read-content.ts'
import { comparePaths, type Tree, type TreeNode } from './tree.ts'

export interface ComposeInput {
  readonly evaluated: Evaluated
  /** What the lock's target holds, unpacked. */
  readonly packages: readonly PackageTree[]
  /** What we built: kernel modules, the runtime, the device's programs. `leaveOut` does not touch them. */
  readonly parts: readonly PackageTree[]
  /** Facts of this build, for templates: `version`, `series`, `board`... */
  readonly facts: Readonly<Record<string, string>>
}

export interface Composed {
  readonly tree: Tree
  readonly problems: readonly Problem[]
  /** Per `leaveOut` pattern, for the report of sizes. */
  readonly leftOut: ReadonlyMap<string, LeftOut>
}

/**
 * One tree from packages, built parts and modules. Reads contents where a rule needs them; writes nothing.
 * The tree is whole even when there are problems, so that further checks can tell more of them at once.
 */
export async function composeTree(input: ComposeInput): Promise<Composed> {
  const problems: Problem[] = []
  await using reader = new ContentReader()
  const { evaluated } = input
  const rules = { leaveOut: [...evaluated.leaveOut.keys()], keep: [...evaluated.keep.keys()] }
  const merged = mergePackages(input.packages, rules, problems)
  problems.push(...(await checkExpectedAccounts(merged.nodes, evaluated, reader)))
  problems.push(...idlePatterns(evaluated, merged))
  addParts(merged.nodes, input.parts, problems)
  dropPrivileges(merged.nodes, evaluated, problems)
  await placeClaims(merged, input, reader, problems)
  for (const [path, node] of accountFiles(evaluated)) {
    if (merged.nodes.has(path))
      problems.push({
        where: path,
        message: `${merged.nodes.get(path)!.origin} brings it; accounts are declared`,
      })
    merged.nodes.set(path, node)
  }
  await enableUnits(merged.nodes, evaluated, reader, problems)
  addParents(merged.nodes, problems)
  const tree = new Map([...merged.nodes].sort(([a], [b]) => comparePaths(a, b)))
  return { tree, problems, leftOut: merged.leftOut }
}

/** Accounts that packages expect by sysusers.d; a file that is left out expects nothing. */
async function checkExpectedAccounts(
  nodes: Tree,
  evaluated: Evaluated,
  reader: ContentReader,
): Promise<Problem[]> {
  const lines = []
  for (const [path, node] of nodes) {
    if (node.type !== 'file' || !/^\/usr\/lib\/sysusers\.d\/[^/]+\.conf$/.test(path)) continue
    const text = await reader.readText(node.content)
    lines.push(...parseSysusers(text).map((line) => ({ origin: node.origin, line })))
  }
  return checkSysusers(lines, evaluated)
}

/** A pattern that matches nothing is a leftover, or a typing error that lets something slip in. */
function idlePatterns(evaluated: Evaluated, merged: MergedPackages): Problem[] {
  return [...merged.leftOut].flatMap(([where, { files }]) => {
    if (files > 0) return []
    const regexp = compilePattern(where)
    if ([...merged.owners.keys()].some((path) => regexp.test(path))) return []
    const { module } = evaluated.leaveOut.get(where)!
    return [{ where, message: `module ${module} leaves it out, but no package brings it`, hint: 'remove it' }]
  })
}

function addParts(nodes: Map<string, TreeNode>, parts: readonly PackageTree[], problems: Problem[]) {
  for (const { tree } of parts) {
    for (const [path, node] of tree) {
      const earlier = nodes.get(path)
      if (earlier !== undefined && (earlier.type !== 'directory' || node.type !== 'directory'))
        problems.push({ where: path, message: `both ${earlier.origin} and ${node.origin} bring it` })
      else if (earlier === undefined) nodes.set(path, node)
    }
  }
}

function dropPrivileges(nodes: Map<string, TreeNode>, evaluated: Evaluated, problems: Problem[]) {
  for (const [path, { module }] of evaluated.unprivileged) {
    const node = nodes.get(path)
    if (node?.type === 'file' && (node.mode & 0o6000) !== 0)
      nodes.set(path, { ...node, mode: node.mode & 0o1777 })
    else
      problems.push({
        where: path,
        message: `module ${module} unprivileges it, but it has no privilege to lose`,
      })
  }
}

/** Every node hangs below folders; those nobody spoke of are plain ones. */
function addParents(nodes: Map<string, TreeNode>, problems: Problem[]) {
  const plain = (origin: string): TreeNode => ({ type: 'directory', mode: 0o755, uid: 0, gid: 0, origin })
  for (const [path, node] of [...nodes]) {
    for (let at = path.lastIndexOf('/'); at > 0; at = path.lastIndexOf('/', at - 1)) {
      const parent = path.slice(0, at)
      const above = nodes.get(parent)
      if (above === undefined) nodes.set(parent, plain(node.origin))
      else if (above.type !== 'directory')
        problems.push({
          where: path,
          message: `${node.origin} puts it below ${parent}, a ${above.type} of ${above.origin}`,
        })
      else break
    }
  }
  if (!nodes.has('/')) nodes.set('/', plain('root'))
}
