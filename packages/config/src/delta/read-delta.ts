import {
  DeltaError,
  type DeltaFrame,
  type DeltaHeader,
  type DeltaRange,
  type DeltaRepacking,
  type DeltaSource,
  type DeltaStep,
  type DeltaTree,
  type DeltaUnpacked,
  deltaLimits,
  deltaSourceNames,
  deltaVersion,
  frameBytes,
  frameKinds,
  magic,
  patchHeadBytes,
  preambleBytes,
  rangeBytes,
  repackBytes,
  stepCodes,
} from './format.ts'
import { verityBlockBytes } from './hash-tree.ts'

/** Exactly so many of the next bytes of a delta; fails when there are fewer. */
export type ReadNext = (lengthBytes: number) => Promise<Buffer>

/** A delta up to its steps. Fails with a DeltaError for everything that is not as it must be. */
export async function readDeltaStart(
  next: ReadNext,
): Promise<{ readonly header: DeltaHeader; readonly frames: readonly DeltaFrame[] }> {
  const preamble = await next(preambleBytes)
  if (preamble.toString('latin1', 0, magic.length) !== magic) throw new DeltaError('it is no delta')
  const version = preamble.readUInt32LE(8)
  if (version !== deltaVersion) {
    throw new DeltaError(`its version is ${version}; this system knows ${deltaVersion}`)
  }
  const headerBytes = atMost(preamble.readUInt32LE(12), deltaLimits.headerBytesMax, 'its header')
  const frameCount = atMost(preamble.readUInt32LE(16), deltaLimits.framesMax, 'its list of frames')
  const header = parseHeader((await next(headerBytes)).toString('utf8'))
  const frames = parseFrames(await next(frameCount * frameBytes))
  const framedBytes = frames.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0)
  if (framedBytes !== header.plainBytes)
    throw new DeltaError('its frames are not as long as the plain bundle')
  return { header, frames }
}

/** The next step; undefined: there is none any more. Fails with a DeltaError. */
export async function readDeltaStep(next: ReadNext, header: DeltaHeader): Promise<DeltaStep | undefined> {
  const code = (await next(1)).readUInt8()
  switch (code) {
    case stepCodes.end:
      return undefined
    case stepCodes.copy:
      return { kind: 'copy', ...parseRange(await next(rangeBytes), 0, header) }
    case stepCodes.patch: {
      const head = await next(patchHeadBytes)
      const lengthBytes = atMost(head.readUInt32LE(), deltaLimits.patchBytesMax, 'a patch')
      const dataBytes = atMost(head.readUInt32LE(4), deltaLimits.patchDataBytesMax, "a patch's data")
      const count = atMost(head.readUInt8(8), deltaLimits.rangesMax, "a patch's list of ranges")
      if (lengthBytes === 0 || dataBytes === 0) throw new DeltaError('a patch is empty')
      const records = await next(count * rangeBytes)
      const ranges = Array.from({ length: count }, (_, index) =>
        parseRange(records, index * rangeBytes, header),
      )
      const dictionaryBytes = ranges.reduce((sum, range) => sum + range.lengthBytes, 0)
      atMost(dictionaryBytes, deltaLimits.dictionaryBytesMax, 'what a patch refers to')
      return { kind: 'patch', lengthBytes, ranges, data: await next(dataBytes) }
    }
    case stepCodes.tree: {
      const tree = (await next(1)).readUInt8()
      if (tree >= header.trees.length) throw new DeltaError('a step names a hash tree that is not there')
      return { kind: 'tree', tree }
    }
    case stepCodes.repack: {
      const head = await next(repackBytes)
      const repacking = head.readUInt8()
      const how = header.repackings[repacking]
      if (how === undefined) throw new DeltaError('a step compresses in no known way')
      const { repackedBlockBytesMax, repackedStreamBytesMax } = deltaLimits
      const most = how.form === 'block' ? repackedBlockBytesMax : repackedStreamBytesMax
      const lengthBytes = atMost(head.readUInt32LE(1), most, 'what is compressed at a time')
      if (lengthBytes === 0) throw new DeltaError('a step compresses nothing')
      return { kind: 'repack', repacking, lengthBytes }
    }
    default:
      throw new DeltaError(`a step has the unknown code ${code}`)
  }
}

function parseFrames(table: Buffer): DeltaFrame[] {
  const frames: DeltaFrame[] = []
  for (let at = 0; at < table.byteLength; at += frameBytes) {
    const kind = frameKinds[table.readUInt8(at)]
    const lengthBytes = table.readUInt32LE(at + 1)
    if (kind === undefined || lengthBytes === 0) throw new DeltaError('a frame is none')
    frames.push({ kind, lengthBytes })
  }
  return frames
}

/** All frames that are unpacked, one after the other. */
export function unpackedBytes({ unpacked }: Pick<DeltaHeader, 'unpacked'>): number {
  return unpacked.reduce((sum, { plainBytes }) => sum + plainBytes, 0)
}

function parseRange(record: Buffer, at: number, header: DeltaHeader): DeltaRange {
  const source = record.readUInt8(at)
  const offsetBytes = record.readUInt32LE(at + 1)
  const lengthBytes = record.readUInt32LE(at + 5)
  const { sources } = header
  const sizeBytes = source === sources.length ? unpackedBytes(header) : (sources[source]?.sizeBytes ?? 0)
  if (lengthBytes === 0 || offsetBytes + lengthBytes > sizeBytes) {
    throw new DeltaError('a step reads outside of its source')
  }
  return { source, offsetBytes, lengthBytes }
}

function parseHeader(text: string): DeltaHeader {
  const value = objectOf(parseJson(text), 'the header')
  const result = objectOf(value.result, 'result')
  const packing = objectOf(value.packing, 'packing')
  const { bytesMax, sourceBytesMax, treesMax, packingLevelMax, packingBlockBytesMax } = deltaLimits
  const plainBytes = countOf(value.plain, bytesMax, 'plain')
  const sources = listOf(value.sources, deltaSourceNames.length, 'sources').map((item): DeltaSource => {
    const source = objectOf(item, 'a source')
    const name = deltaSourceNames.find((known) => known === source.name)
    if (name === undefined) throw new DeltaError('a source has no known name')
    return {
      name,
      sizeBytes: countOf(source.size, sourceBytesMax, 'the size of a source'),
      sha256: hashOf(source.sha256, 'the sha256 of a source'),
    }
  })
  if (typeof value.zstd !== 'string' || value.zstd.length > 40)
    throw new DeltaError('its zstd has no version')
  return {
    sources,
    unpacked: parseUnpacked(value.unpacked, sources),
    repackings: listOf(value.repackings, deltaLimits.repackingsMax, 'repackings').map(parseRepacking),
    zstd: value.zstd,
    result: {
      sizeBytes: countOf(result.size, bytesMax, 'the size of the result'),
      sha256: hashOf(result.sha256, 'the sha256 of the result'),
    },
    plainBytes,
    packing: {
      level: countOf(packing.level, packingLevelMax, 'the level of packing'),
      blockBytes: countOf(packing.block, packingBlockBytesMax, 'the block size of packing'),
    },
    trees: listOf(value.trees, treesMax, 'trees').map((item): DeltaTree => {
      const tree = objectOf(item, 'a tree')
      const offsetBytes = tree.offset === 0 ? 0 : countOf(tree.offset, bytesMax, 'the offset of a tree')
      const lengthBytes = countOf(tree.length, bytesMax, 'the length of a tree')
      if (lengthBytes % verityBlockBytes !== 0 || lengthBytes <= verityBlockBytes) {
        throw new DeltaError('a tree is not over two or more blocks')
      }
      if (tree.of !== 'plain' && tree.of !== 'packed') throw new DeltaError('a tree is over nothing known')
      return { of: tree.of, offsetBytes, lengthBytes, salt: hashOf(tree.salt, 'the salt of a tree') }
    }),
  }
}

function parseUnpacked(value: unknown, sources: readonly DeltaSource[]): DeltaUnpacked[] {
  const { unpackedMax, unpackedBytesMax } = deltaLimits
  const unpacked = listOf(value, unpackedMax, 'unpacked').map((item): DeltaUnpacked => {
    const [source, offset, length, plain] = listOf(item, 4, 'an unpacked frame')
    const sizeBytes = sources[source as number]?.sizeBytes
    if (sizeBytes === undefined) throw new DeltaError('an unpacked frame is in no known source')
    const offsetBytes = offset === 0 ? 0 : countOf(offset, sizeBytes, 'the offset of an unpacked frame')
    const lengthBytes = countOf(length, sizeBytes, 'the length of an unpacked frame')
    if (offsetBytes + lengthBytes > sizeBytes)
      throw new DeltaError('an unpacked frame is outside of its source')
    const plainBytes = countOf(plain, unpackedBytesMax, 'the size of an unpacked frame')
    return { source: source as number, offsetBytes, lengthBytes, plainBytes }
  })
  atMost(unpackedBytes({ unpacked }), unpackedBytesMax, 'what it unpacks')
  return unpacked
}

function parseRepacking(item: unknown): DeltaRepacking {
  const value = objectOf(item, 'a repacking')
  const { form, checksum } = value
  if ((form !== 'block' && form !== 'stream') || typeof checksum !== 'boolean') {
    throw new DeltaError('a repacking has no known form')
  }
  const { blockLevelMax, streamLevelMax, repackWindowLogMax, repackHashLogMax } = deltaLimits
  const within = (name: string, least: number, most: number): number | undefined => {
    const number = value[name]
    if (number === undefined) return undefined
    if (countOf(number, most, `${name} of a repacking`) >= least) return number as number
    throw new DeltaError(`${name} of a repacking is below ${least}`)
  }
  return {
    ...{ form, checksum },
    level: countOf(
      value.level,
      form === 'block' ? blockLevelMax : streamLevelMax,
      'the level of a repacking',
    ),
    strategy: within('strategy', 1, 9),
    minMatch: within('minMatch', 3, 7),
    searchLog: within('searchLog', 1, 9),
    targetLength: within('targetLength', 1, 999),
    windowLog: within('windowLog', 10, repackWindowLogMax),
    hashLog: within('hashLog', 6, repackHashLogMax),
  }
}

type Fields = Readonly<Record<string, unknown>>

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new DeltaError('its header is not JSON')
  }
}

function objectOf(value: unknown, where: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new DeltaError(`${where} is no object`)
  }
  return value as Fields
}

function listOf(value: unknown, lengthMax: number, where: string): readonly unknown[] {
  if (Array.isArray(value) && value.length <= lengthMax) return value
  throw new DeltaError(`${where} is no list of at most ${lengthMax}`)
}

function countOf(value: unknown, max: number, where: string): number {
  if (Number.isSafeInteger(value) && (value as number) > 0 && (value as number) <= max) return value as number
  throw new DeltaError(`${where} is no whole number from 1 to ${max}`)
}

function hashOf(value: unknown, where: string): string {
  if (typeof value === 'string' && /^[0-9a-f]{64}$/.test(value)) return value
  throw new DeltaError(`${where} is not 64 hexadecimal digits`)
}

function atMost(value: number, max: number, where: string): number {
  if (value <= max) return value
  throw new DeltaError(`${where} is larger than ${max}`)
}
