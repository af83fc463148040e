import { createHash } from 'node:crypto'
import { canonicalJson } from '../step/canonical-json.ts'

/** The parts of CycloneDX 1.6 that our bill of materials uses. */
export interface Bom {
  readonly bomFormat: 'CycloneDX'
  readonly specVersion: '1.6'
  readonly serialNumber: string
  readonly version: 1
  readonly metadata: {
    readonly timestamp: string
    readonly lifecycles: readonly { readonly phase: 'build' }[]
    readonly component: BomComponent
  }
  readonly components: readonly BomComponent[]
}

export interface BomComponent {
  readonly type: 'application' | 'firmware' | 'library' | 'operating-system' | 'platform'
  readonly 'bom-ref': string
  readonly name: string
  readonly version: string
  readonly description?: string
  /** `excluded`: considered, and nothing of it is in the image. */
  readonly scope?: 'required' | 'excluded'
  readonly hashes?: readonly BomHash[]
  readonly licenses?: readonly (
    | { readonly expression: string }
    | { readonly license: { readonly name: string } }
  )[]
  readonly purl?: string
  readonly externalReferences?: readonly {
    readonly type: 'source-distribution' | 'distribution'
    readonly url: string
    readonly hashes: readonly BomHash[]
  }[]
  readonly properties?: readonly { readonly name: string; readonly value: string }[]
}

export interface BomHash {
  readonly alg: 'SHA-256' | 'SHA-512'
  readonly content: string
}

/** Same parts, same document: the serial number follows from the content and the only time is the build's. */
export function makeBom(options: {
  component: BomComponent
  components: readonly BomComponent[]
  sourceDateEpoch: number
}): Bom {
  const components = options.components.toSorted((a, b) => compareText(a['bom-ref'], b['bom-ref']))
  for (const [i, { 'bom-ref': reference }] of components.entries()) {
    if (reference === components[i + 1]?.['bom-ref']) throw new Error(`${reference} is listed twice`)
  }
  const content = {
    metadata: {
      timestamp: new Date(options.sourceDateEpoch * 1000).toISOString().replace('.000Z', 'Z'),
      lifecycles: [{ phase: 'build' }],
      component: options.component,
    },
    components,
  } as const
  return {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    serialNumber: `urn:uuid:${derivedUuid(canonicalJson(content))}`,
    version: 1,
    ...content,
  }
}

export function renderBom(bom: Bom): string {
  return `${JSON.stringify(bom, undefined, 2)}\n`
}

/** Percent-encodes what the package URL specification wants encoded, which is more than URIs need (`+`). */
export function packageUrl(
  type: string,
  namespace: string | undefined,
  name: string,
  version: string,
  qualifiers: Readonly<Record<string, string>> = {},
): string {
  const path = namespace === undefined ? encodePurl(name) : `${encodePurl(namespace)}/${encodePurl(name)}`
  const query = Object.keys(qualifiers)
    .sort()
    .map((key) => `${key}=${encodePurl(qualifiers[key]!)}`)
    .join('&')
  return `pkg:${type}/${path}@${encodePurl(version)}${query === '' ? '' : `?${query}`}`
}

function encodePurl(text: string): string {
  return encodeURIComponent(text).replaceAll('%3A', ':')
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** Shaped like a random UUID, for readers that insist on it. */
function derivedUuid(text: string): string {
  const bytes = createHash('sha256').update(text).digest().subarray(0, 16)
  bytes[6] = (bytes[6]! & 0x0f) | 0x80
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
