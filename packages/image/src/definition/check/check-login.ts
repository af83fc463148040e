import type { ContentReader } from '../../tree/read-content.ts'
import type { Tree } from '../../tree/tree.ts'
import type { Problem } from '../problems.ts'
import { findPath } from './lookup.ts'

const moduleFolder = '/usr/lib/aarch64-linux-gnu'

/** Modules that PAM and the name service load by name: a missing one locks everybody out, or finds nobody. */
export async function checkLogin(tree: Tree, reader: ContentReader): Promise<Problem[]> {
  const problems: Problem[] = []
  for (const [path, node] of tree) {
    if (node.type !== 'file') continue
    if (/^\/(etc|usr\/lib)\/pam\.d\/[^/]+$/.test(path))
      problems.push(...checkPamService(tree, path, node.origin, await reader.readText(node.content)))
    if (path === '/etc/nsswitch.conf')
      problems.push(...checkNameServices(tree, path, await reader.readText(node.content)))
  }
  return problems
}

function checkPamService(tree: Tree, where: string, origin: string, text: string): Problem[] {
  return text.split('\n').flatMap((raw): Problem[] => {
    const line = raw.replace(/#.*/, '').trim()
    const include = /^@include\s+(\S+)$/.exec(line)?.[1]
    if (include !== undefined)
      return findPath(tree, `/etc/pam.d/${include}`) === undefined
        ? [{ where, message: `includes ${include}, which is missing (${origin})` }]
        : []
    // A leading `-` says that the module may be missing.
    const module = /^(?!-)\S+\s+(?:\[[^\]]*\]|\S+)\s+(pam_\w+\.so)/.exec(line)?.[1]
    if (module === undefined || findPath(tree, `${moduleFolder}/security/${module}`) !== undefined) return []
    return [{ where, message: `names ${module}, which is missing (${origin})` }]
  })
}

function checkNameServices(tree: Tree, where: string, text: string): Problem[] {
  const services = text
    .split('\n')
    .flatMap((line) => (line.replace(/#.*/, '').split(':')[1] ?? '').split(/\s+/))
    .filter((word) => /^[a-z]\w*$/.test(word))
  // Part of the C library since glibc 2.34.
  const builtIn = ['files', 'dns']
  return [...new Set(services)]
    .filter((service) => !builtIn.includes(service))
    .filter((service) => findPath(tree, `${moduleFolder}/libnss_${service}.so.2`) === undefined)
    .map((service) => ({
      where,
      message: `names the service ${service}, whose libnss_${service}.so.2 is missing`,
    }))
}
