import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { availableParallelism } from 'node:os'
import { promisify } from 'node:util'
import { constants, zstdCompress } from 'node:zlib'
import {
  type DeltaHeader,
  type DeltaRepacking,
  type DeltaSourceName,
  type DeltaStep,
  type DeltaTree,
  deltaEnd,
  deltaLimits,
  deltaStart,
  deltaStep,
  HashTree,
  rebuildBundle,
  verityBlockBytes,
} from '@atomixos/config'
import type { BundleVerity } from '../bundle/manifest.ts'
import { initrdCompression } from '../initrd/build-initrd.ts'
import { releaseCompression } from '../squashfs/compression.ts'
import { usedClusters } from '../vfat/used-clusters.ts'
import { findMatches, type Match } from './match.ts'
import { asItIs, type PlainBundle, type PlainImage } from './plain-bundle.ts'
import { copyBytesMin, type PlannedStep, planSteps, rangesOf, type Segment } from './plan-delta.ts'
import { findRepackedParts, findReplacedFrames } from './repacked-parts.ts'

export interface DeltaOptions {
  readonly from: PlainBundle
  readonly to: PlainBundle
  /** Of the bundle that it leads to. */
  readonly verity: BundleVerity
  /** A larger one is not worth its while. Default: that of the bundle. */
  readonly sizeBytesMax?: number
  /** How images compress what is in them. Default: as releases do. */
  readonly repackings?: readonly DeltaRepacking[]
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void
}

/** What makes no delta that a device could use; the message says why. */
export class NoDelta extends Error {
  override readonly name = 'NoDelta'
}

/** In the order in which they are tried. */
export const releaseRepackings: readonly DeltaRepacking[] = [
  { form: 'block', checksum: false, ...releaseCompression },
  { form: 'stream', checksum: true, ...initrdCompression },
]

const sourceOfImage: Readonly<Record<string, DeltaSourceName>> = {
  'boot.vfat': 'boot',
  'rootfs.squashfs': 'rootfs',
}

/**
 * Writes the delta between two bundles to `outPath`, and makes the second of it as a device does, to see that it can.
 * Same bundles, same bytes. Throws NoDelta.
 */
export async function writeDelta(options: DeltaOptions, outPath: string): Promise<void> {
  const delta = await makeDelta(options)
  const sizeBytesMax = options.sizeBytesMax ?? options.to.sizeBytes
  if (delta.byteLength > sizeBytesMax) {
    throw new NoDelta(`it would have ${delta.byteLength} bytes, and the bundle has ${options.to.sizeBytes}`)
  }
  await checkDelta(delta, options)
  const out = createWriteStream(outPath, { flags: 'wx' })
  await new Promise<void>((resolve, reject) => {
    out.once('error', reject)
    out.end(delta, resolve)
  })
}

/** The delta, in memory. Throws NoDelta. */
export async function makeDelta(options: DeltaOptions): Promise<Buffer> {
  const { from, signal } = options
  const same =
    from.packsAgain &&
    from.packing.level === options.to.packing.level &&
    options.to.packing.level <= deltaLimits.packingLevelMax
  const to = same && options.to.packsAgain ? options.to : await asItIs(options.to)
  const sources = sourcesOf(from)
  const segments = segmentsOf(sources)
  const old = Buffer.concat(
    segments.map(({ source, offsetBytes, sizeBytes }) =>
      sources[source]!.bytes.subarray(offsetBytes, offsetBytes + sizeBytes),
    ),
  )
  if (Math.max(to.bytes.byteLength, to.sizeBytes) > deltaLimits.bytesMax) {
    throw new NoDelta('the bundle is larger than devices take')
  }
  const trees = treesOf(to, options.verity)
  const totalBytes = to.bytes.byteLength * 2
  const matches = findMatches(old, to.bytes, (doneBytes) => {
    signal?.throwIfAborted()
    options.onProgress?.(doneBytes, totalBytes)
  })
  // Where zstd has changed, devices that run the old system could not make the same bytes.
  const ways = same && to === options.to ? (options.repackings ?? releaseRepackings) : []
  const copies = matches.filter(({ lengthBytes }) => lengthBytes >= copyBytesMin)
  const parts = await findRepackedParts(to.bytes, { images: to.images, copies, ways, signal })
  const replaced = findReplacedFrames(parts.length === 0 ? [] : copiedOf(sources, segments, copies))
  const inner = { old: replaced.plain, wanted: Buffer.concat(parts.map(({ plain }) => plain)) }
  const innerMatches = findMatches(inner.old, inner.wanted, () => signal?.throwIfAborted())
  const innerGiven = {
    wanted: inner.wanted,
    sources: [...sources.map(({ bytes }) => bytes), inner.old],
    segments: [{ source: sources.length, offsetBytes: 0, startBytes: 0, sizeBytes: inner.old.byteLength }],
  }
  const header: DeltaHeader = {
    sources: sources.map(({ name, sizeBytes, sha256 }) => ({ name, sizeBytes, sha256 })),
    unpacked: replaced.unpacked,
    repackings: parts.length === 0 ? [] : ways,
    zstd: process.versions.zstd!,
    result: { sizeBytes: to.sizeBytes, sha256: to.sha256 },
    plainBytes: to.bytes.byteLength,
    packing: to.packing,
    trees: trees.map(({ tree }) => tree),
  }
  const records: Buffer[] = [deltaStart(header, to.frames)]
  let at = 0
  for (const [index, { placedAt, sizeBytes }] of [...trees.entries()]
    .toSorted(([, a], [, b]) => a.placedAt - b.placedAt)
    .map(([index, tree]) => [index, tree] as const)) {
    await pieces(at, placedAt)
    records.push(deltaStep({ kind: 'tree', tree: index }))
    at = placedAt + sizeBytes
  }
  await pieces(at, to.bytes.byteLength)
  records.push(deltaEnd)
  return Buffer.concat(records)

  async function pieces(start: number, end: number): Promise<void> {
    const given = { wanted: to.bytes, sources: sources.map(({ bytes }) => bytes), segments }
    let from = start
    let innerAt = 0
    for (const { at: partAt, diskBytes, plain, repacking } of parts) {
      const innerEnd = innerAt + plain.byteLength
      if (partAt >= from && partAt + diskBytes <= end) {
        await put(planSteps(matches, { start: from, end: partAt, oldBytes: old.byteLength }), given)
        records.push(deltaStep({ kind: 'repack', repacking, lengthBytes: plain.byteLength }))
        const range = { start: innerAt, end: innerEnd, oldBytes: inner.old.byteLength }
        await put(planSteps(innerMatches, range), innerGiven)
        from = partAt + diskBytes
        options.onProgress?.(to.bytes.byteLength + from, totalBytes)
      }
      innerAt = innerEnd
    }
    await put(planSteps(matches, { start: from, end, oldBytes: old.byteLength }), given)
    options.onProgress?.(to.bytes.byteLength + end, totalBytes)
  }

  async function put(steps: readonly PlannedStep[], given: Given): Promise<void> {
    for (const made of await inOrder(steps, (step) => stepsOf(step, given))) {
      records.push(...made.map(deltaStep))
      signal?.throwIfAborted()
    }
  }
}

/** What of each source is copied into the new bytes, in order of place. */
function copiedOf(sources: readonly Source[], segments: readonly Segment[], copies: readonly Match[]) {
  const ranges = copies.flatMap(({ from, lengthBytes }) =>
    rangesOf({ from, until: from + lengthBytes }, segments),
  )
  return sources.map(({ name, bytes }, source) => {
    // Of a boot partition only what its files hold, as everywhere.
    const used = segments.find((segment) => segment.source === source)!
    return {
      bytes: name === 'boot' ? bytes.subarray(0, used.offsetBytes + used.sizeBytes) : bytes,
      copiedBytes: ranges
        .filter((range) => range.source === source)
        .map(({ offsetBytes, lengthBytes }) => ({ start: offsetBytes, end: offsetBytes + lengthBytes })),
    }
  })
}

interface Source {
  readonly name: DeltaSourceName
  readonly bytes: Buffer
  readonly sizeBytes: number
  readonly sha256: string
}

function sourcesOf(from: PlainBundle): Source[] {
  const sources = from.images.flatMap(({ filename, offsetBytes, sizeBytes }) => {
    const name = Object.hasOwn(sourceOfImage, filename) ? sourceOfImage[filename] : undefined
    if (name === undefined) return []
    const bytes = from.bytes.subarray(offsetBytes, offsetBytes + sizeBytes)
    return [{ name, bytes, sizeBytes, sha256: sha256Of(bytes) }]
  })
  if (sources.length === 0) throw new NoDelta(`${from.path} holds no image that devices have`)
  return sources
}

/**
 * What of the images a delta may take. Of a boot partition only what its files hold: an operator's configuration, or what
 * some systems leave on every disk that they see, changes tables and free space, and must not cost the delta its use.
 */
function segmentsOf(sources: readonly Source[]): Segment[] {
  let startBytes = 0
  return sources.map(({ name, bytes, sizeBytes: wholeBytes }, source) => {
    const used = name === 'boot' ? usedClusters(bytes) : undefined
    const { offsetBytes, lengthBytes: sizeBytes } = used ?? { offsetBytes: 0, lengthBytes: wholeBytes }
    const segment = { source, offsetBytes, startBytes, sizeBytes }
    startBytes += sizeBytes
    return segment
  })
}

interface Given {
  readonly wanted: Buffer
  /** Their bytes. */
  readonly sources: readonly Buffer[]
  readonly segments: readonly Segment[]
}

async function stepsOf(step: PlannedStep, { wanted, sources, segments }: Given): Promise<DeltaStep[]> {
  if (step.kind === 'copy') {
    const { from, lengthBytes } = step
    return rangesOf({ from, until: from + lengthBytes }, segments).map((range) => ({
      kind: 'copy',
      ...range,
    }))
  }
  const { at, lengthBytes, places } = step
  const ranges = places.flatMap((place) => rangesOf(place, segments)).slice(0, deltaLimits.rangesMax)
  const dictionary = Buffer.concat(
    ranges.map(({ source, offsetBytes, lengthBytes: length }) =>
      sources[source]!.subarray(offsetBytes, offsetBytes + length),
    ),
  )
  const data = await compressPatch(wanted.subarray(at, at + lengthBytes), dictionary)
  return [{ kind: 'patch', ranges, lengthBytes, data }]
}

const compressAsync = promisify(zstdCompress)

function compressPatch(bytes: Buffer, dictionary: Buffer): Promise<Buffer> {
  return compressAsync(bytes, {
    ...(dictionary.byteLength > 0 && { dictionary }),
    params: {
      [constants.ZSTD_c_compressionLevel]: 19,
      [constants.ZSTD_c_windowLog]: deltaLimits.windowLog,
      [constants.ZSTD_c_checksumFlag]: 0,
    },
    pledgedSrcSize: bytes.byteLength,
    chunkSize: bytes.byteLength + (bytes.byteLength >> 8) + 64,
  })
}

/** All results in order, as many at a time as there are cores. */
async function inOrder<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  let next = 0
  const worker = async () => {
    while (next < items.length) {
      const index = next
      next += 1
      results[index] = await work(items[index]!)
    }
  }
  await Promise.all(Array.from({ length: Math.min(items.length, availableParallelism()) }, worker))
  return results
}

interface PlacedTree {
  readonly tree: DeltaTree
  /** In the plain bundle. */
  readonly placedAt: number
  readonly sizeBytes: number
}

/** The hash trees that are in the plain bundle as dm-verity makes them; what looks like one and is none is data. */
function treesOf(to: PlainBundle, verity: BundleVerity): PlacedTree[] {
  const rootfs = to.images.find(({ filename }) => sourceOfImage[filename] === 'rootfs')
  const own = rootfs === undefined ? undefined : treeOfImage(to.bytes, rootfs)
  return [...(own === undefined ? [] : [own]), ...treeOfBundle(to, verity)]
}

/** Behind a squashfs is dm-verity's superblock, in a block of its own, and the tree. */
function treeOfImage(bytes: Buffer, { offsetBytes, sizeBytes }: PlainImage): PlacedTree | undefined {
  const image = bytes.subarray(offsetBytes, offsetBytes + sizeBytes)
  if (image.byteLength < verityBlockBytes || image.toString('latin1', 0, 4) !== 'hsqs') return undefined
  const usedBytes = Number(image.readBigUInt64LE(40))
  const dataBytes = Math.ceil(usedBytes / verityBlockBytes) * verityBlockBytes
  if (dataBytes + 2 * verityBlockBytes > image.byteLength || dataBytes <= verityBlockBytes) return undefined
  const superblock = image.subarray(dataBytes, dataBytes + verityBlockBytes)
  if (superblock.toString('latin1', 0, 6) !== 'verity' || superblock.readUInt16LE(80) !== 32) return undefined
  const salt = superblock.subarray(88, 120)
  const tree = { of: 'plain' as const, offsetBytes, lengthBytes: dataBytes, salt: salt.toString('hex') }
  const treeAt = dataBytes + verityBlockBytes
  return placedTree(tree, image.subarray(0, dataBytes), image.subarray(treeAt), offsetBytes + treeAt)
}

/** Behind the payload's squashfs; over the bundle as it is, packed. */
function* treeOfBundle(to: PlainBundle, { salt, treeBytes }: BundleVerity): Generator<PlacedTree> {
  const signatureBytes = Number(to.bytes.readBigUInt64BE(to.bytes.byteLength - 8)) + 8
  const lengthBytes = to.sizeBytes - signatureBytes - treeBytes
  if (lengthBytes <= verityBlockBytes || lengthBytes % verityBlockBytes !== 0) return
  // Its bytes are compared when the bundle is made again, since what it hashes is not here in plain.
  const placedAt = to.bytes.byteLength - signatureBytes - treeBytes
  yield { tree: { of: 'packed', offsetBytes: 0, lengthBytes, salt }, placedAt, sizeBytes: treeBytes }
}

function placedTree(tree: DeltaTree, data: Buffer, there: Buffer, placedAt: number): PlacedTree | undefined {
  const made = new HashTree(data.byteLength, Buffer.from(tree.salt, 'hex'))
  made.update(data)
  const bytes = made.finish().tree
  return there.subarray(0, bytes.byteLength).equals(bytes)
    ? { tree, placedAt, sizeBytes: bytes.byteLength }
    : undefined
}

/** Makes the bundle of it, in memory but for its bytes. Throws NoDelta. */
async function checkDelta(delta: Buffer, { from }: DeltaOptions): Promise<void> {
  const sources = sourcesOf(from)
  let at = 0
  const unpacked: Buffer[] = []
  let whole: Buffer | undefined
  await rebuildBundle({
    async next(lengthBytes) {
      at += lengthBytes
      if (at > delta.byteLength) throw new NoDelta('the delta ends too early')
      return delta.subarray(at - lengthBytes, at)
    },
    async readSource(source, offsetBytes, into) {
      sources[source]!.bytes.copy(into, 0, offsetBytes, offsetBytes + into.byteLength)
    },
    scratch: {
      async append(bytes) {
        unpacked.push(Buffer.from(bytes))
      },
      async read(offsetBytes, into) {
        whole ??= Buffer.concat(unpacked)
        whole.copy(into, 0, offsetBytes, offsetBytes + into.byteLength)
      },
    },
    write: async () => {},
  }).catch((cause: Error) => {
    throw new NoDelta(`the delta does not lead to the bundle: ${cause.message}`, { cause })
  })
  if (at !== delta.byteLength) throw new NoDelta('the delta is longer than it needs to be')
}

function sha256Of(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}
