/** Packages of `package-lock.json` that the given workspaces need at run time. */
export interface NpmPart {
  readonly name: string
  readonly version: string
  readonly integrity: string
  /** SPDX, as the package says; undefined when it says nothing. */
  readonly license: string | undefined
}

interface PackageLock {
  readonly packages: Readonly<Record<string, LockEntry>>
}

interface LockEntry {
  readonly name?: string
  readonly version?: string
  readonly integrity?: string
  readonly license?: string
  readonly link?: boolean
  readonly resolved?: string
  readonly dependencies?: Readonly<Record<string, string>>
}

/** `workspaces`: folders such as `packages/device`. In order of name. */
export function npmClosure(packageLockText: string, workspaces: readonly string[]): NpmPart[] {
  const { packages } = JSON.parse(packageLockText) as PackageLock
  const parts = new Map<string, NpmPart>()
  const pending = [...workspaces]
  const seen = new Set<string>()
  while (pending.length > 0) {
    const folder = pending.pop()!
    if (seen.has(folder)) continue
    seen.add(folder)
    const entry = packages[folder]
    if (entry === undefined) throw new Error(`package-lock.json has no ${folder}`)
    if (entry.version !== undefined && entry.integrity !== undefined) {
      const name = entry.name ?? folder.slice(folder.lastIndexOf('node_modules/') + 'node_modules/'.length)
      const { version, integrity, license } = entry
      parts.set(`${name} ${version}`, { name, version, integrity, license })
    }
    for (const name of Object.keys(entry.dependencies ?? {})) pending.push(resolve(packages, folder, name))
  }
  return [...parts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, part]) => part)
}

/** The folder Node would find: the nearest node_modules upwards. */
function resolve(packages: PackageLock['packages'], from: string, name: string): string {
  for (let folder = from; ; folder = folder.includes('/') ? folder.slice(0, folder.lastIndexOf('/')) : '') {
    const candidate = folder === '' ? `node_modules/${name}` : `${folder}/node_modules/${name}`
    const entry = packages[candidate]
    if (entry !== undefined) return entry.link === true ? entry.resolved! : candidate
    if (folder === '') throw new Error(`package-lock.json has no ${name}, which ${from} needs`)
  }
}
