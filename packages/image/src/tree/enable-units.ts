import type { Evaluated } from '../definition/evaluate.ts'
import { unitFolder } from '../definition/evaluate-paths.ts'
import type { Problem } from '../definition/problems.ts'
import { parseUnit, templateOf } from '../definition/unit-text.ts'
import type { ContentReader } from './read-content.ts'
import type { TreeNode } from './tree.ts'

export interface UnitLink {
  readonly path: string
  readonly target: string
}

const administratorFolder = '/etc/systemd/system'

/**
 * The links that `systemctl enable` would make for a unit, from its [Install] section. `Also=` is not followed:
 * what is enabled is named in the definition.
 */
export function installLinks(
  unitName: string,
  unitPath: string,
  text: string,
): readonly UnitLink[] | Problem {
  const install = parseUnit(text).get('Install')
  const words = (directive: string) =>
    (install?.get(directive) ?? []).flatMap((value) => value.split(/\s+/)).filter((word) => word !== '')
  const template = templateOf(unitName)
  const instance =
    template === undefined ? '' : unitName.slice(unitName.indexOf('@') + 1, unitName.lastIndexOf('.'))
  const expand = (word: string) =>
    word
      .replaceAll('%i', instance)
      .replaceAll('%p', unitName.replace(/@.*|\.[a-z]+$/, ''))
      .replaceAll('%%', '%')
  const link = (path: string): UnitLink => ({ path: `${administratorFolder}/${path}`, target: unitPath })
  const links = [
    ...words('Alias').map((alias) => link(expand(alias))),
    ...words('WantedBy').map((other) => link(`${expand(other)}.wants/${unitName}`)),
    ...words('RequiredBy').map((other) => link(`${expand(other)}.requires/${unitName}`)),
    ...words('UpheldBy').map((other) => link(`${expand(other)}.upholds/${unitName}`)),
  ]
  if (links.length > 0) return links
  return {
    where: `unit ${unitName}`,
    message: 'is enabled, but its [Install] section names nothing that would start it',
    hint: 'give it WantedBy=, or start it from another unit instead of enabling it',
  }
}

/** Makes the links of every enabled unit. A unit that nothing brings is a problem. */
export async function enableUnits(
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
