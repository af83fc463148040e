import type { UnpackedPackage } from '../inputs.ts'
import type { LockedNpmPackage, LockedSource } from '../lock/lock.ts'
import { ContentReader } from '../tree/read-content.ts'
import type { Content, Tree } from '../tree/tree.ts'
import { type PackageLicense, parseCopyright } from './copyright.ts'
import { type Bom, type BomComponent, makeBom, packageUrl } from './cyclonedx.ts'
import type { NpmPart } from './npm-closure.ts'

export interface SbomOptions {
  readonly board: string
  readonly version: string
  readonly series: string
  readonly sourceDateEpoch: number
  /** Trees made of Debian packages: the root file system, the initrd, the firmware's parts. */
  readonly parts: readonly SbomPart[]
  /** Source packages that are compiled into the image, by name. */
  readonly sources: Readonly<Record<string, { readonly source: LockedSource; readonly license: string }>>
  /** npm packages whose files go into the image as they are: the device's Node. */
  readonly npmBinaries: readonly (LockedNpmPackage & { readonly license: string })[]
  /** npm packages that are bundled into the device's programs. */
  readonly npmParts: readonly NpmPart[]
}

export interface SbomPart {
  /** `rootfs`, `initrd`, `firmware`. */
  readonly name: string
  readonly packages: readonly UnpackedPackage[]
  /** What was made of them; undefined when a package is compiled in as a whole. */
  readonly tree: Tree | undefined
  /** Contents that went elsewhere (the kernel, device trees), or packages whose files were changed on the way. */
  readonly alsoUsed?: readonly string[]
}

/**
 * The bill of materials: every Debian package, source, npm package and our own version, with licences and hashes.
 * A package that was resolved but left no file in the image is listed with the scope `excluded`.
 */
export async function buildSbom(options: SbomOptions): Promise<Bom> {
  const { board, version, series, sourceDateEpoch } = options
  const reference = `pkg:generic/atomixos-${board}@${encodeURIComponent(version)}`
  return makeBom({
    sourceDateEpoch,
    component: {
      type: 'operating-system',
      'bom-ref': reference,
      name: `atomixos-${board}`,
      version,
      description: `AtomixOS for ${board}, made of Debian ${series}`,
      licenses: [{ expression: 'Apache-2.0' }],
      purl: reference,
    },
    components: [
      ...(await debianComponents(options.parts, series)),
      ...Object.entries(options.sources).map(([name, { source, license }]) =>
        sourceComponent(name, source, license, series),
      ),
      ...options.npmBinaries.map((npm) => npmComponent(npm, 'platform')),
      ...options.npmParts.map((npm) => npmComponent(npm, 'library')),
    ],
  })
}

async function debianComponents(parts: readonly SbomPart[], series: string): Promise<BomComponent[]> {
  const found = new Map<string, { unpacked: UnpackedPackage; wantedBy: Set<string>; usedBy: Set<string> }>()
  for (const part of parts) {
    const used = usedPackages(part)
    for (const unpacked of part.packages) {
      const key = unpacked.locked.sha256
      const entry = found.get(key) ?? { unpacked, wantedBy: new Set(), usedBy: new Set() }
      found.set(key, entry)
      entry.wantedBy.add(part.name)
      if (used.has(unpacked.name)) entry.usedBy.add(part.name)
    }
  }
  const packagesByName = new Map(
    parts.flatMap(({ packages }) => packages).map((item) => [item.name, item.tree]),
  )
  await using reader = new ContentReader()
  return Promise.all(
    [...found.values()].map(async ({ unpacked, wantedBy, usedBy }) => {
      const content = copyrightOf(unpacked, packagesByName)
      const license: PackageLicense =
        content === undefined ? { kind: 'missing' } : parseCopyright(await reader.readText(content))
      return debianComponent(unpacked, { license, series, wantedBy, usedBy })
    }),
  )
}

/** By name: those of which a file, in whatever place, is in the tree. */
function usedPackages({ packages, tree, alsoUsed = [] }: SbomPart): Set<string> {
  if (tree === undefined) return new Set(packages.map(({ name }) => name))
  const origins = new Set<string>()
  const contents = new Set<string>()
  for (const node of tree.values()) {
    if (node.type === 'directory') continue
    origins.add(node.origin)
    if (node.type === 'file') contents.add(contentPlace(node.content))
  }
  const used = packages.filter(
    ({ name, tree: own }) =>
      origins.has(`package ${name}`) ||
      [...own.values()].some((node) => node.type === 'file' && contents.has(contentPlace(node.content))),
  )
  return new Set([...used.map(({ name }) => name), ...alsoUsed])
}

function contentPlace(content: Content): string {
  return content.kind === 'range' ? `${content.path} ${content.offsetBytes} ${content.sizeBytes}` : ''
}

/** A package may share its documentation folder with another one of the same source, by a link. */
function copyrightOf(
  unpacked: UnpackedPackage,
  packagesByName: ReadonlyMap<string, Tree>,
): Content | undefined {
  const folder = `/usr/share/doc/${unpacked.name}`
  let node = unpacked.tree.get(`${folder}/copyright`)
  const link = unpacked.tree.get(folder)
  const target =
    node?.type === 'symlink'
      ? /([^/]+)\/copyright$/.exec(node.target)?.[1]
      : link?.type === 'symlink'
        ? link.target.split('/').at(-1)
        : undefined
  if (target !== undefined) node = packagesByName.get(target)?.get(`/usr/share/doc/${target}/copyright`)
  return node?.type === 'file' ? node.content : undefined
}

function debianComponent(
  { locked }: UnpackedPackage,
  facts: {
    license: PackageLicense
    series: string
    wantedBy: ReadonlySet<string>
    usedBy: ReadonlySet<string>
  },
): BomComponent {
  const { name, version, architecture } = locked
  const purl = packageUrl('deb', 'debian', name, version, { arch: architecture, distro: facts.series })
  const excluded = facts.usedBy.size === 0
  const { license } = facts
  const notes = license.kind === 'text' && license.commonLicenses.length > 0 ? license.commonLicenses : []
  return {
    type: 'library',
    'bom-ref': purl,
    name,
    version,
    scope: excluded ? 'excluded' : 'required',
    hashes: [{ alg: 'SHA-256', content: locked.sha256 }],
    ...(license.kind === 'missing' ? {} : { licenses: [licenseChoice(license, name)] }),
    purl,
    properties: [
      { name: 'atomixos:debian:file', value: locked.path },
      { name: 'atomixos:debian:source', value: locked.source },
      { name: 'atomixos:debian:source-version', value: locked.sourceVersion },
      ...[...facts.usedBy].sort().map((value) => ({ name: 'atomixos:part', value })),
      ...(excluded
        ? [...facts.wantedBy].sort().map((value) => ({ name: 'atomixos:left-out-of', value }))
        : []),
      ...notes.map((value) => ({ name: 'atomixos:debian:common-license', value })),
    ],
  }
}

function licenseChoice(license: Exclude<PackageLicense, { kind: 'missing' }>, name: string) {
  if (license.kind === 'expression') return { expression: license.expression }
  return { license: { name: `text in /usr/share/doc/${name}/copyright of the package` } }
}

function sourceComponent(name: string, source: LockedSource, license: string, series: string): BomComponent {
  const purl = packageUrl('deb', 'debian', name, source.version, { arch: 'source', distro: series })
  return {
    type: 'firmware',
    'bom-ref': purl,
    name,
    version: source.version,
    scope: 'required',
    licenses: [{ expression: license }],
    purl,
    externalReferences: source.files.map(({ path, sha256 }) => ({
      type: 'source-distribution',
      url: path,
      hashes: [{ alg: 'SHA-256', content: sha256 }],
    })),
  }
}

function npmComponent(
  npm: LockedNpmPackage & { license?: string | undefined },
  type: 'platform' | 'library',
): BomComponent {
  const scope = /^(@[^/]+)\/(.+)$/.exec(npm.name)
  const purl = packageUrl('npm', scope?.[1], scope?.[2] ?? npm.name, npm.version)
  const [, digest] = /^sha512-(.+)$/.exec(npm.integrity) ?? []
  return {
    type,
    'bom-ref': purl,
    name: npm.name,
    version: npm.version,
    scope: 'required',
    ...(digest === undefined
      ? {}
      : { hashes: [{ alg: 'SHA-512', content: Buffer.from(digest, 'base64').toString('hex') }] }),
    ...(npm.license === undefined ? {} : { licenses: [{ expression: npm.license }] }),
    purl,
  }
}
