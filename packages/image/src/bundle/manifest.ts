/** The manifest of a RAUC bundle, as far as ours use it. Pure. */

export interface BundleManifest {
  /** `bundleCompatible(board)`: a device takes no other. */
  readonly compatible: string
  readonly version: string
  readonly description: string
  /** What is inside, by content: the same images have the same one. */
  readonly build: string
  readonly verity: BundleVerity
  readonly images: readonly BundleImage[]
  /** What RAUC hands on without an opinion, by section: `[meta.NAME]`. */
  readonly meta?: Readonly<Record<string, Readonly<Record<string, string>>>>
}

/** Of the payload; the tree has no superblock and follows the data. */
export interface BundleVerity {
  /** Hexadecimal. */
  readonly rootHash: string
  readonly salt: string
  readonly treeBytes: number
}

export interface BundleImage {
  /** Which slots it is for: `boot`, `rootfs`. */
  readonly slotClass: string
  readonly filename: string
  readonly sizeBytes: number
  readonly sha256: string
}

export function renderBundleManifest(manifest: BundleManifest): string {
  const { verity } = manifest
  return [
    '[update]',
    `compatible=${manifest.compatible}`,
    `version=${manifest.version}`,
    `description=${manifest.description}`,
    `build=${manifest.build}`,
    '',
    '[bundle]',
    'format=verity',
    `verity-hash=${verity.rootHash}`,
    `verity-salt=${verity.salt}`,
    `verity-size=${verity.treeBytes}`,
    ...manifest.images.flatMap(({ slotClass, filename, sizeBytes, sha256 }) => [
      '',
      `[image.${slotClass}]`,
      `sha256=${sha256}`,
      `size=${sizeBytes}`,
      `filename=${filename}`,
    ]),
    ...Object.entries(manifest.meta ?? {}).flatMap(([section, keys]) => [
      '',
      `[meta.${section}]`,
      ...Object.entries(keys).map(([key, value]) => `${key}=${value}`),
    ]),
    '',
  ].join('\n')
}

export type ParsedManifest = { readonly manifest: BundleManifest } | { readonly problem: string }

/** Reads what `renderBundleManifest` writes, in RAUC's key file format; further keys do no harm here. */
export function parseBundleManifest(text: string): ParsedManifest {
  const sections = new Map<string, Map<string, string>>()
  let section: Map<string, string> | undefined
  for (const line of text.split('\n')) {
    const heading = /^\[(.+)\]\s*$/.exec(line)
    if (heading) {
      section = new Map()
      sections.set(heading[1]!, section)
    }
    const pair = /^([^#=[]+)=(.*)$/.exec(line)
    if (pair) section?.set(pair[1]!.trim(), pair[2]!.trim())
  }
  const update = sections.get('update')
  const bundle = sections.get('bundle')
  const compatible = update?.get('compatible')
  if (compatible === undefined) return { problem: 'its manifest names no compatible' }
  const format = bundle?.get('format') ?? 'plain'
  if (format !== 'verity') return { problem: `its format is "${format}", and devices take "verity" only` }
  const verity = {
    rootHash: bundle?.get('verity-hash') ?? '',
    salt: bundle?.get('verity-salt') ?? '',
    treeBytes: Number(bundle?.get('verity-size')),
  }
  const isHash = (hex: string) => /^[0-9a-f]{64}$/.test(hex)
  if (!isHash(verity.rootHash) || !isHash(verity.salt) || !(verity.treeBytes > 0)) {
    return { problem: 'its manifest says nothing usable about the hash tree' }
  }
  const images = [...sections]
    .filter(([name]) => name.startsWith('image.'))
    .map(([name, keys]) => ({
      slotClass: name.slice('image.'.length),
      filename: keys.get('filename') ?? '',
      sizeBytes: Number(keys.get('size')),
      sha256: keys.get('sha256') ?? '',
    }))
  const meta = [...sections]
    .filter(([name]) => name.startsWith('meta.'))
    .map(([name, keys]) => [name.slice('meta.'.length), Object.fromEntries(keys)] as const)
  return {
    manifest: {
      compatible,
      version: update?.get('version') ?? '',
      description: update?.get('description') ?? '',
      build: update?.get('build') ?? '',
      verity,
      images,
      ...(meta.length > 0 && { meta: Object.fromEntries(meta) }),
    },
  }
}
