import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import xzDecompress from 'xz-decompress'
import { UserError } from '../errors.ts'
import type { Mirrors } from '../fetch/mirrors.ts'
import type { Reporter } from '../reporter.ts'
import { parseStanzas, toLockedPackage } from './apt-output.ts'
import { fetchIndices, suites } from './indices.ts'
import type { LockedFile, LockedPackage } from './lock.ts'
import { verifyRelease } from './release-signature.ts'

/** One record of a package index and the archive that it belongs to. */
export interface IndexRecord {
  readonly archive: LockedFile['archive']
  readonly fields: ReadonlyMap<string, string>
}

/**
 * Packages for the tree that runs the real solver, for when the mirror has dropped the locked ones. Chosen by a rule
 * that suits one stable release and no more: the newest record of a name, the first alternative that exists. What is
 * locked in the end is what apt itself then resolves. Throws UserError.
 */
export async function bootstrapToolPackages(options: {
  readonly requested: readonly string[]
  readonly architecture: string
  readonly mirrors: Mirrors
  readonly mirrorDir: string
  readonly indexDir: string
  readonly reporter: Reporter
  readonly signal: AbortSignal
}): Promise<LockedPackage[]> {
  const { architecture, mirrorDir } = options
  const index = `main/binary-${architecture}/Packages`
  await fetchIndices({
    ...options,
    indices: [index],
    checkRelease: (text, title) => verifyRelease(text, title, Date.now()),
  })
  const records: IndexRecord[] = []
  for (const { archive, suite } of suites) {
    const text = await readXz(join(mirrorDir, archive, 'dists', suite, `${index}.xz`))
    for (const fields of parseStanzas(text)) records.push({ archive, fields })
  }
  return closure(records, options.requested).map(({ archive, fields }) =>
    toLockedPackage(
      { archive, path: fields.get('filename')!, sizeBytes: Number(fields.get('size')), sha256: undefined },
      fields,
    ),
  )
}

/** The requested packages and all that they depend on, by name. Later records of a name stand for newer ones. */
export function closure(records: readonly IndexRecord[], requested: readonly string[]): IndexRecord[] {
  const byName = new Map<string, IndexRecord>()
  const providers = new Map<string, string>()
  for (const record of records) {
    const name = record.fields.get('package')!
    byName.set(name, record)
    for (const provided of relations(record.fields.get('provides'))) {
      if (!providers.has(provided[0]!)) providers.set(provided[0]!, name)
    }
  }
  const chosen = new Map<string, IndexRecord>()
  const pending = requested.map((name) => [name])
  for (let alternatives = pending.pop(); alternatives !== undefined; alternatives = pending.pop()) {
    if (alternatives.some((name) => chosen.has(name))) continue
    const name = alternatives.find((candidate) => byName.has(candidate)) ?? providers.get(alternatives[0]!)
    const record = name === undefined ? undefined : byName.get(name)
    if (record === undefined) {
      throw new UserError(`the mirror has no package ${alternatives.join(' or ')}, which the lock tools need`)
    }
    if (chosen.has(name!)) continue
    chosen.set(name!, record)
    for (const field of ['pre-depends', 'depends']) pending.push(...relations(record.fields.get(field)))
  }
  return [...chosen.values()].sort((a, b) => (a.fields.get('package')! < b.fields.get('package')! ? -1 : 1))
}

/** `a (>= 1), b:any | c` as [[a], [b, c]]. */
function relations(field: string | undefined): string[][] {
  return (field ?? '')
    .split(',')
    .map((group) => group.split('|').map((one) => one.trim().replace(/[\s:(].*$/s, '')))
    .filter(([first]) => first !== '')
}

async function readXz(path: string): Promise<string> {
  const web = Readable.toWeb(createReadStream(path)) as unknown as ReadableStream<Uint8Array>
  const decoded = new xzDecompress.XzReadableStream(web) as unknown as AsyncIterable<Uint8Array>
  const parts: Buffer[] = []
  for await (const chunk of decoded) parts.push(Buffer.from(chunk))
  return Buffer.concat(parts).toString('utf8')
}
