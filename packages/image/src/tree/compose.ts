import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { Evaluated } from '../definition/evaluate.ts'
import { type Claim, unitFolder } from '../definition/evaluate-paths.ts'
import type { Problem } from '../definition/problems.ts'
import { checkSysusers, parseSysusers } from '../definition/sysusers.ts'
import { templateOf } from '../definition/unit-text.ts'
import type { FileBody } from '../definition/words.ts'
import { accountFiles } from './accounts.ts'
import { installLinks } from './enable-units.ts'
import { type LeftOut, type MergedPackages, mergePackages, type PackageTree } from './merge-packages.ts'
import { compilePattern } from './patterns.ts'
import { ContentReader } from './read-content.ts'
import { comparePaths, type Tree, type TreeNode } from './tree.ts'

export interface ComposeInput {
  readonly evaluated: Evaluated
  /** What the lock's target holds, unpacked; omitted ones among them are passed over. */
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
  const packages = input.packages.filter(({ name }) => !evaluated.omitPackages.has(name))
  const rules = { leaveOut: [...evaluated.leaveOut.keys()], keep: [...evaluated.keep.keys()] }
  const merged = mergePackages(packages, rules, problems)
  problems.push(...(await checkExpectedAccounts(merged.nodes, evaluated, reader)))
  problems.push(...idlePatterns(evaluated, merged))
  addParts(merged.nodes, input.parts, problems)
  dropPrivileges(merged.nodes, evaluated, problems)
  for (const [path, claim] of evaluated.claims) {
    const node = await claimedNode(path, claim, input, reader, problems)
    if (node !== undefined) placeClaim(path, claim, node, merged, problems)
  }
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

async function claimedNode(
  path: string,
  claim: Claim,
  input: ComposeInput,
  reader: ContentReader,
  problems: Problem[],
): Promise<TreeNode | undefined> {
  const origin = `module ${claim.module}`
  if (claim.type === 'symlink')
    return { type: 'symlink', target: claim.symlink.target, mode: 0o777, uid: 0, gid: 0, origin }
  const { mode, owner = 'root:root' } = claim.type === 'file' ? claim.file : claim.directory
  const [user = '', group = ''] = owner.split(':')
  const uid = input.evaluated.users.get(user)?.uid
  const gid = input.evaluated.groups.get(group)?.gid
  if (uid === undefined || gid === undefined) {
    const missing = uid === undefined ? `user ${user}` : `group ${group}`
    problems.push({ where: path, message: `${origin} gives it to ${owner}, but there is no ${missing}` })
    return undefined
  }
  if (claim.type === 'directory') return { type: 'directory', mode: mode ?? 0o755, uid, gid, origin }
  const bytes = await bodyBytes(path, claim.file.body, input, reader, problems)
  return { type: 'file', mode: mode ?? 0o644, uid, gid, origin, content: { kind: 'bytes', bytes } }
}

async function bodyBytes(
  where: string,
  body: FileBody,
  input: ComposeInput,
  reader: ContentReader,
  problems: Problem[],
): Promise<Uint8Array> {
  if (typeof body === 'string') return Buffer.from(body)
  if (body instanceof Uint8Array) return body
  if ('hostPath' in body)
    return readFile(typeof body.hostPath === 'string' ? body.hostPath : fileURLToPath(body.hostPath))
  if ('template' in body) {
    const text = body.template.replaceAll(/\{\{([A-Za-z]+)\}\}/g, (_, fact: string) => {
      const value = input.facts[fact]
      if (value === undefined)
        problems.push({ where, message: `its template names {{${fact}}}, which is no fact` })
      return value ?? ''
    })
    return Buffer.from(text)
  }
  const regexp = compilePattern(body.concatenated)
  const chunks: Uint8Array[] = []
  for (const { tree } of input.packages) {
    const matches = [...tree].filter(([path, node]) => node.type === 'file' && regexp.test(path))
    for (const [, node] of matches.sort(([a], [b]) => comparePaths(a, b))) {
      if (node.type !== 'file') continue
      const bytes = await reader.read(node.content)
      chunks.push(bytes)
      if (bytes.at(-1) !== 0x0a) chunks.push(Buffer.from('\n'))
    }
  }
  if (chunks.length === 0)
    problems.push({ where, message: `no file of a package matches ${body.concatenated}` })
  return Buffer.concat(chunks)
}

/** Puts a module's node into the tree; a package's file gives way only to one that names the package. */
function placeClaim(path: string, claim: Claim, node: TreeNode, merged: MergedPackages, problems: Problem[]) {
  const owner = merged.owners.get(path)
  const present = merged.nodes.get(path)
  const replaces =
    claim.type === 'file'
      ? claim.file.replaces
      : claim.type === 'symlink'
        ? claim.symlink.replaces
        : undefined
  const message = `module ${claim.module} declares it as a ${claim.type}`
  if (replaces !== undefined && replaces !== owner)
    problems.push({
      where: path,
      message: `${message} that replaces package ${replaces}'s, which brings none`,
    })
  else if (present !== undefined && present.type === 'directory' && claim.type !== 'directory')
    problems.push({ where: path, message: `${message}, but ${present.origin} brings a folder` })
  else if (present !== undefined && present.type !== 'directory' && replaces === undefined)
    problems.push({
      where: path,
      message: `${message}, but ${present.origin} brings a ${present.type}`,
      ...(claim.type === 'directory' || owner === undefined
        ? {}
        : { hint: `write \`replaces: '${owner}'\` if that is meant` }),
    })
  merged.nodes.set(path, node)
}

async function enableUnits(
  nodes: Map<string, TreeNode>,
  evaluated: Evaluated,
  reader: ContentReader,
  problems: Problem[],
) {
  for (const [unit, { module }] of evaluated.enable) {
    const file = templateOf(unit) ?? unit
    const path = `${unitFolder}/${file}`
    const node = nodes.get(path)
    if (node?.type !== 'file') {
      problems.push({
        where: `unit ${unit}`,
        message: `module ${module} enables it, but nothing brings ${path}`,
      })
      continue
    }
    const links = installLinks(unit, path, await reader.readText(node.content))
    if (!Array.isArray(links)) {
      problems.push(links as Problem)
      continue
    }
    for (const { path: linkPath, target } of links) {
      const earlier = nodes.get(linkPath)
      if (earlier !== undefined && !(earlier.type === 'symlink' && earlier.target === target))
        problems.push({
          where: linkPath,
          message: `${earlier.origin} brings it, and enabling ${unit} would too`,
        })
      nodes.set(linkPath, {
        type: 'symlink',
        target,
        mode: 0o777,
        uid: 0,
        gid: 0,
        origin: `module ${module}`,
      })
    }
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
