import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { KeptPackage } from './apt.ts'
import { AptRoot, type AptRootOptions, rootPath } from './apt-root.ts'
import type { LockedPackage } from './lock.ts'

/** What apt looks at when it decides; Essential and the like would keep packages that nothing asks for. */
const solverFields = [
  ...['package', 'version', 'architecture', 'multi-arch', 'source', 'pre-depends', 'depends'],
  ...['conflicts', 'breaks', 'replaces', 'provides', 'enhances'],
]

export function solverRecord(control: ReadonlyMap<string, string>, fields = solverFields): string {
  return fields
    .filter((field) => control.has(field))
    .map((field) => `${field}: ${control.get(field)!.replaceAll('\n', ' ')}\n`)
    .join('')
}

/**
 * Those of `packages`, which can be installed together, that installing `requested` takes. A solver that is told
 * what is installed leaves what could still be of use; asked again with these packages as the only ones there are,
 * it takes what a first installation would.
 */
export async function minimalSet(
  requested: readonly string[],
  packages: readonly KeptPackage[],
  options: Omit<AptRootOptions, 'sources'> & { readonly standIns: string },
): Promise<LockedPackage[]> {
  const root = await AptRoot.create({ ...options, sources: [`deb [trusted=yes] copy:${rootPath}/all ./`] })
  await root.write('var/lib/dpkg/status', options.standIns)
  await mkdir(join(root.dir, 'all'))
  const records = packages.map((entry) => {
    const { name, sizeBytes, sha256 } = entry.locked
    return `${solverRecord(entry.control)}Filename: ./${name}.deb\nSize: ${sizeBytes}\nSHA256: ${sha256}\n\n`
  })
  await root.write('all/Packages', records.join(''))
  await root.run('apt-get', ['update', '-qq'], 'read the list of locked packages')
  const install = ['install', '-qq', '--yes', '--print-uris', ...requested]
  const { stdout } = await root.run('apt-get', install, 'find the packages that are still needed')
  const needed = new Set(
    [...stdout.matchAll(/^'copy:\S*\/([^/']+)\.deb'/gm)].map(([, name]) => decodeURIComponent(name!)),
  )
  return packages.map(({ locked }) => locked).filter(({ name }) => needed.has(name))
}
