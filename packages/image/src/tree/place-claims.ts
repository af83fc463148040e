import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { Evaluated } from '../definition/evaluate.ts'
import type { Claim } from '../definition/evaluate-paths.ts'
import type { Problem } from '../definition/problems.ts'
import type { FileBody } from '../definition/words.ts'
import type { MergedPackages, PackageTree } from './merge-packages.ts'
import { compilePattern } from './patterns.ts'
import type { ContentReader } from './read-content.ts'
import { comparePaths, type TreeNode } from './tree.ts'

export interface ClaimsInput {
  readonly evaluated: Evaluated
  readonly packages: readonly PackageTree[]
  readonly facts: Readonly<Record<string, string>>
}

/** Puts what modules declare into the tree; a package's file gives way only to one that names the package. */
export async function placeClaims(
  merged: MergedPackages,
  input: ClaimsInput,
  reader: ContentReader,
  problems: Problem[],
): Promise<void> {
  for (const [path, claim] of input.evaluated.claims) {
    const node = await claimedNode(path, claim, input, reader, problems)
    if (node !== undefined) placeClaim(path, claim, node, merged, problems)
  }
}

async function claimedNode(
  path: string,
  claim: Claim,
  input: ClaimsInput,
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
  input: ClaimsInput,
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
