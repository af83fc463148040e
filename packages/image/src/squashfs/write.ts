import { chmodSync, closeSync, openSync, writeSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import type { Tree } from '../tree/tree.ts'
import { BlockCache, type PackedBlock } from './block-cache.ts'
import { BlockReader } from './block-reader.ts'
import { compressSync, type ZstdParameters } from './compression.ts'
import { type DataPlan, type FragmentPiece, type PlannedFile, planData } from './data-plan.ts'
import { metadataStoredFlag, superblockBytes } from './format.ts'
import type { FileInode } from './inodes.ts'
import { buildInodeTables } from './metadata-tables.ts'
import { superblock } from './superblock.ts'
import {
  blockLength,
  fragmentRecords,
  type IndexedTable,
  indexedTable,
  type PlacedFragment,
} from './tables.ts'

export interface SquashfsOptions {
  readonly compression: ZstdParameters
  /** Power of two, 4 KiB to 1 MiB. Default 1 MiB. */
  readonly blockBytes?: number
  /** Smaller files share blocks with others. Default: the block size. */
  readonly shareBelowBytes?: number
  /**
   * Begin each file's own blocks, and each shared block, at a multiple of this: an update then finds unchanged
   * ones at places that a block-wise comparison sees. Default 1, no alignment.
   */
  readonly alignBytes?: number
  /** Stamped on everything. */
  readonly sourceDateEpoch: number
  /** Compressed blocks of earlier builds. */
  readonly blockCacheDir: string
  readonly signal?: AbortSignal
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void
}

export interface SquashfsSummary {
  /** A multiple of 4 KiB. */
  readonly sizeBytes: number
  readonly inodeCount: number
  readonly fragmentCount: number
  readonly blocksPacked: number
  readonly blocksFromCache: number
  /** Bytes in the image by origin of the files, shared blocks by share; metadata apart. */
  readonly bytesByOrigin: ReadonlyMap<string, number>
  readonly metadataBytes: number
}

const imagePaddingBytes = 4096

/** Writes `tree` as a squashfs 4.0 image, compressed with zstd: the same tree gives the same bytes. */
export async function writeSquashfs(
  tree: Tree,
  outPath: string,
  options: SquashfsOptions,
): Promise<SquashfsSummary> {
  const blockBytes = options.blockBytes ?? 1024 * 1024
  const plan = planData(tree, { blockBytes, shareBelowBytes: options.shareBelowBytes ?? blockBytes })
  const compress = (bytes: Uint8Array) => compressSync(bytes, options.compression)
  const out = new ImageFile(outPath)
  try {
    out.write(Buffer.alloc(superblockBytes))
    out.write(compressorOptions(options.compression.level))
    const cache = new BlockCache(options.blockCacheDir, options.compression)
    const data = await writeData(plan, cache, out, options)
    const dataEnd = out.sizeBytes

    const tables = buildInodeTables(tree, {
      sourceDateEpoch: options.sourceDateEpoch,
      fileAt: (path) => data.inodeOf.get(plan.fileAt.get(path)!)!,
      compress,
    })
    const inodesStart = out.write(tables.inodes)
    const directoriesStart = out.write(tables.directories)
    const writeTable = (table: IndexedTable) => {
      out.write(table.bytes)
      return table.start
    }
    const fragments = writeTable(indexedTable(fragmentRecords(data.fragments), out.sizeBytes, compress))
    const exports = writeTable(indexedTable(tables.exports, out.sizeBytes, compress))
    const ids = writeTable(indexedTable(tables.ids.records(), out.sizeBytes, compress))
    const xattrTable = tables.xattrs.finish(out.sizeBytes, compress)
    const xattrs = writeTable(xattrTable)
    const bytesUsed = out.sizeBytes
    out.pad(imagePaddingBytes)
    out.writeAt(
      superblock({
        inodeCount: tables.inodeCount,
        timeSeconds: options.sourceDateEpoch,
        blockBytes,
        fragmentCount: data.fragments.length,
        idCount: tables.ids.size,
        rootReference: tables.rootReference,
        bytesUsed,
        starts: {
          ids,
          xattrs,
          inodes: BigInt(inodesStart),
          directories: BigInt(directoriesStart),
          fragments,
          exports,
        },
        hasXattrs: xattrTable.bytes.byteLength > 0,
      }),
      0,
    )
    return {
      sizeBytes: out.sizeBytes,
      inodeCount: tables.inodeCount,
      fragmentCount: data.fragments.length,
      blocksPacked: cache.misses,
      blocksFromCache: cache.hits,
      bytesByOrigin: bytesByOrigin(tree, plan, data),
      metadataBytes: out.sizeBytes - dataEnd,
    }
  } finally {
    out.close()
  }
}

/** The level, for people who ask `unsquashfs -s`; the kernel does not need it. */
function compressorOptions(level: number): Uint8Array {
  const bytes = Buffer.alloc(6)
  bytes.writeUInt16LE(4 | metadataStoredFlag, 0)
  bytes.writeUInt32LE(level, 2)
  return bytes
}

interface WrittenData {
  readonly inodeOf: ReadonlyMap<PlannedFile, FileInode>
  readonly fragments: readonly PlacedFragment[]
  readonly fragmentBytes: readonly number[]
  readonly fileBytes: ReadonlyMap<PlannedFile, number>
}

interface BlockJob {
  readonly pieces: readonly FragmentPiece[]
  readonly sizeBytes: number
  /** A file's data, or a block that files share, begins here. */
  readonly first: boolean
  /** Listed in the fragment table, which has no word for a hole. */
  readonly shared: boolean
}

async function writeData(
  plan: DataPlan,
  cache: BlockCache,
  out: ImageFile,
  options: SquashfsOptions,
): Promise<WrittenData> {
  const jobs: BlockJob[] = plan.files.flatMap(fileJobs)
  for (const { pieces, sizeBytes } of plan.fragments)
    jobs.push({ pieces, sizeBytes, first: true, shared: true })
  const placed = await packBlocks(jobs, cache, out, options)

  const inodeOf = new Map<PlannedFile, FileInode>()
  const fileBytes = new Map<PlannedFile, number>()
  let next = 0
  for (const file of plan.files) {
    const blocks = placed.slice(next, next + file.blockSizes.length)
    next += file.blockSizes.length
    inodeOf.set(file, {
      sizeBytes: file.sizeBytes,
      dataOffset: blocks[0]?.offset ?? 0,
      blockLengths: blocks.map(({ length }) => length),
      holeBytes: file.blockSizes.reduce((sum, size, i) => sum + (blocks[i]!.length === 0 ? size : 0), 0),
      tail: file.tail,
    })
    fileBytes.set(
      file,
      blocks.reduce((sum, { bytes }) => sum + bytes, 0),
    )
  }
  const fragments = placed.slice(next)
  return { inodeOf, fileBytes, fragments, fragmentBytes: fragments.map(({ bytes }) => bytes) }
}

function fileJobs(file: PlannedFile): BlockJob[] {
  let offsetBytes = 0
  return file.blockSizes.map((sizeBytes) => {
    const piece = { content: file.content, sha256: file.sha256, offsetBytes, sizeBytes }
    offsetBytes += sizeBytes
    return { pieces: [piece], sizeBytes, first: piece.offsetBytes === 0, shared: false }
  })
}

interface PlacedBlock extends PlacedFragment {
  readonly bytes: number
}

/** Compresses ahead and writes in order. A few blocks wait finished, so that a slow one holds up no core. */
async function packBlocks(
  jobs: readonly BlockJob[],
  cache: BlockCache,
  out: ImageFile,
  options: SquashfsOptions,
): Promise<PlacedBlock[]> {
  const reader = new BlockReader()
  const totalBytes = jobs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  const ahead = 4 * availableParallelism()
  const pending: Promise<PackedBlock>[] = []
  const start = (job: BlockJob) => {
    const packed = cache.get(jobSource(job), () => readJob(job, reader))
    // Awaited in order below; until then a failure must not count as unhandled.
    packed.catch(() => {})
    pending.push(packed)
  }
  try {
    const placed: PlacedBlock[] = []
    let doneBytes = 0
    let started = 0
    for (const job of jobs) {
      options.signal?.throwIfAborted()
      while (started < jobs.length && pending.length < ahead) start(jobs[started++]!)
      let block = await pending.shift()!
      if (block.kind === 'hole' && job.shared) block = { kind: 'stored', bytes: Buffer.alloc(job.sizeBytes) }
      if (job.first) out.pad(options.alignBytes ?? 1)
      const offset = out.write(block.bytes)
      const bytes = block.bytes.byteLength
      placed.push({ offset, length: blockLength(bytes, block.kind), bytes })
      doneBytes += job.sizeBytes
      options.onProgress?.(doneBytes, totalBytes)
    }
    return placed
  } finally {
    await Promise.allSettled(pending)
    reader.close()
  }
}

/** What is in the block, by content hashes. */
function jobSource(job: BlockJob): string {
  return job.pieces
    .map(({ sha256, offsetBytes, sizeBytes }) => `${sha256} ${offsetBytes} ${sizeBytes}`)
    .join('\n')
}

function readJob(job: BlockJob, reader: BlockReader): Uint8Array {
  const bytes = Buffer.allocUnsafeSlow(job.sizeBytes)
  let filled = 0
  for (const { content, offsetBytes, sizeBytes } of job.pieces) {
    reader.read(content, offsetBytes, bytes.subarray(filled, filled + sizeBytes))
    filled += sizeBytes
  }
  return bytes
}

function bytesByOrigin(tree: Tree, plan: DataPlan, data: WrittenData): Map<string, number> {
  const byOrigin = new Map<string, number>()
  const counted = new Set<PlannedFile>()
  for (const [path, node] of tree) {
    const file = plan.fileAt.get(path)
    if (file === undefined || counted.has(file)) continue
    counted.add(file)
    let bytes = data.fileBytes.get(file)!
    if (file.tail !== undefined) {
      const { fragment } = file.tail
      bytes += (data.fragmentBytes[fragment]! * file.sizeBytes) / plan.fragments[fragment]!.sizeBytes
    }
    byOrigin.set(node.origin, (byOrigin.get(node.origin) ?? 0) + bytes)
  }
  return byOrigin
}

class ImageFile {
  readonly #file: number
  sizeBytes = 0

  constructor(path: string) {
    this.#file = openSync(path, 'w', 0o644)
    chmodSync(path, 0o644)
  }

  /** Appends; returns where. */
  write(bytes: Uint8Array): number {
    const offset = this.sizeBytes
    this.writeAt(bytes, offset)
    this.sizeBytes += bytes.byteLength
    return offset
  }

  writeAt(bytes: Uint8Array, offset: number): void {
    let done = 0
    while (done < bytes.byteLength)
      done += writeSync(this.#file, bytes, done, bytes.byteLength - done, offset + done)
  }

  pad(multiple: number): void {
    const rest = this.sizeBytes % multiple
    if (rest > 0) this.write(Buffer.alloc(multiple - rest))
  }

  close(): void {
    closeSync(this.#file)
  }
}
