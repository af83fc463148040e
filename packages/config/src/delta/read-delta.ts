import {
  DeltaError,
  type DeltaFrame,
  type DeltaHeader,
  type DeltaRange,
  type DeltaSource,
  type DeltaStep,
  type DeltaTree,
  deltaLimits,
  deltaSourceNames,
  deltaVersion,
  frameBytes,
  frameKinds,
  magic,
  patchHeadBytes,
  preambleBytes,
  rangeBytes,
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

function parseRange(record: Buffer, at: number, { sources }: DeltaHeader): DeltaRange {
  const source = record.readUInt8(at)
  const offsetBytes = record.readUInt32LE(at + 1)
  const lengthBytes = record.readUInt32LE(at + 5)
  const { sizeBytes } = sources[source] ?? { sizeBytes: 0 }
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
  return {
    sources: listOf(value.sources, deltaSourceNames.length, 'sources').map((item): DeltaSource => {
      const source = objectOf(item, 'a source')
      const name = deltaSourceNames.find((known) => known === source.name)
      if (name === undefined) throw new DeltaError('a source has no known name')
      return {
        name,
        sizeBytes: countOf(source.size, sourceBytesMax, 'the size of a source'),
        sha256: hashOf(source.sha256, 'the sha256 of a source'),
      }
    }),
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
