import { dirname, resolve } from 'node:path/posix'
import type { ContentReader } from '../../tree/read-content.ts'
import { contentSize, type Tree } from '../../tree/tree.ts'
import type { Evaluated } from '../evaluate.ts'
import type { Problem } from '../problems.ts'
import { findPath } from './lookup.ts'

/** Owners that exist, links that lead somewhere, privileges that were asked for. */
export function checkNodes(tree: Tree, evaluated: Evaluated): Problem[] {
  const uids = new Set([...evaluated.users.values()].map(({ uid }) => uid))
  const gids = new Set([...evaluated.groups.values()].map(({ gid }) => gid))
  const hasAccounts = uids.size > 0
  const problems: Problem[] = []
  for (const [path, node] of tree) {
    if (hasAccounts && !uids.has(node.uid))
      problems.push({
        where: path,
        message: `belongs to user id ${node.uid}, which is nobody's (${node.origin})`,
      })
    if (hasAccounts && !gids.has(node.gid))
      problems.push({
        where: path,
        message: `belongs to group id ${node.gid}, which is nobody's (${node.origin})`,
      })
    if (node.type === 'symlink' && findPath(tree, resolve(dirname(path), node.target)) === undefined)
      problems.push({
        where: path,
        message: `leads to ${node.target}, which is missing (${node.origin})`,
        hint: 'leave the link out too, or keep what it leads to',
      })
    if (node.type === 'file' && (node.mode & 0o6000) !== 0 && !evaluated.privileged.has(path))
      problems.push({
        where: path,
        message: `is ${(node.mode & 0o4000) !== 0 ? 'setuid' : 'setgid'} (${node.origin}), and no module allows it`,
        hint: 'name it in `unprivileged`, or in `privileged` with the reason',
      })
    if (node.type === 'file' && (node.mode & 0o002) !== 0)
      problems.push({ where: path, message: `everybody may write it (${node.origin})` })
  }
  return [...problems, ...uselessPrivileges(tree, evaluated)]
}

function uselessPrivileges(tree: Tree, evaluated: Evaluated): Problem[] {
  return [...evaluated.privileged].flatMap(([path, { module }]) => {
    const node = tree.get(path)
    if (node?.type === 'file' && (node.mode & 0o6000) !== 0) return []
    return [{ where: path, message: `module ${module} lets it be privileged, but it is not` }]
  })
}

const secretsMaxBytes = 1024 * 1024

/** No credential in an image: private keys, password hashes, tokens (R20). */
export async function checkSecrets(tree: Tree, reader: ContentReader): Promise<Problem[]> {
  const problems: Problem[] = []
  for (const [path, node] of tree) {
    if (node.type !== 'file' || !mayHoldSecrets(path) || contentSize(node.content) > secretsMaxBytes) continue
    const text = Buffer.from(await reader.read(node.content)).toString('latin1')
    // A line of its own: programs and documents contain the words as well.
    if (/^-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----\s*$/m.test(text))
      problems.push({
        where: path,
        message: `holds a private key (${node.origin})`,
        hint: 'keys are made on the device and live on /data',
      })
    const hash = /^([^:\s]+):(\$[0-9a-z]+\$[^:]*|[./0-9A-Za-z]{13}):/m.exec(text)
    if (/\/(g?shadow|passwd|group)-?$/.test(path) && hash !== null)
      problems.push({
        where: path,
        message: `holds a password of ${hash[1]} (${node.origin})`,
        hint: 'nobody has a password; users come with the configuration, by SSH key',
      })
  }
  return problems
}

function mayHoldSecrets(path: string): boolean {
  return !path.endsWith('.so') && !path.endsWith('.ko') && !/\/lib[^/]*\.so\.[0-9.]+$/.test(path)
}
