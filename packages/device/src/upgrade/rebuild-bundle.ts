import { createHash } from 'node:crypto'
import { type FileHandle, mkdir, open, rm, statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import {
  DeltaError,
  type DeltaSource,
  type DeltaSourceName,
  rebuildBundle,
  unpackedBytes,
} from '@atomixos/config'
import { downloadLimits } from './download-limits.ts'
import type { FileFacts } from './parse-answer.ts'

export interface RebuildOptions {
  readonly deltaPath: string
  /** What is to come of it, by the channel. */
  readonly bundle: FileFacts
  /** Is not there, or of no use. */
  readonly outPath: string
  /** Where an image of the running system is: its partition. */
  readonly sourcePath: (name: DeltaSourceName) => string
  /** Must stay free on the disk. */
  readonly reserveBytes?: number
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void
}

const chunkBytes = 1 << 20

/**
 * Makes the bundle of a delta and the running system, which is only read. Fails with a DeltaError, or with what the file
 * system says, and leaves nothing then. The memory that it takes does not depend on the sizes: docs/feed.md.
 */
export async function rebuildFromDelta(options: RebuildOptions): Promise<void> {
  const { outPath } = options
  await mkdir(dirname(outPath), { recursive: true })
  await requireFree(options, options.bundle.sizeBytes)
  try {
    await using files = new AsyncDisposableStack()
    const opened = async (path: string, flags: string) => {
      const handle = await open(path, flags, 0o600)
      files.defer(() => handle.close())
      return handle
    }
    const delta = await opened(options.deltaPath, 'r')
    const out = await opened(outPath, 'w')
    const sources: FileHandle[] = []
    const writer = new SyncedWriter(out)
    const scratch = await openScratch(`${outPath}.unpacked`)
    files.defer(() => scratch.handle.close())
    let deltaAt = 0
    let suspicion: string | undefined
    await rebuildBundle({
      async next(lengthBytes) {
        const bytes = Buffer.allocUnsafeSlow(lengthBytes)
        await readWhole(delta, bytes, deltaAt, 'the delta ends too early')
        deltaAt += lengthBytes
        return bytes
      },
      async onHeader(header) {
        const { result, sources: wanted } = header
        const { sizeBytes, sha256 } = options.bundle
        if (result.sizeBytes !== sizeBytes || result.sha256 !== sha256) {
          throw new DeltaError('it leads to another bundle than the channel names')
        }
        await requireFree(options, sizeBytes + unpackedBytes(header))
        for (const source of wanted) {
          const handle = await opened(options.sourcePath(source.name), 'r')
          const problem = await sourceProblem(handle, source, options.signal)
          // A delta takes what files of the boot partition hold, not what a further file there changes: the hash of the
          // bundle will tell. The root is never written to.
          if (problem !== undefined && source.name !== 'boot') throw new DeltaError(problem)
          suspicion ??= problem
          sources.push(handle)
        }
      },
      readSource: (source, offsetBytes, into) =>
        readWhole(sources[source]!, into, offsetBytes, 'a partition ends too early'),
      scratch,
      write: (bytes) => writer.write(bytes),
      ...(options.onProgress && { onProgress: options.onProgress }),
      signal: options.signal,
    }).catch((error: Error) => {
      const explained = error instanceof DeltaError ? suspicion : undefined
      throw explained === undefined ? error : new DeltaError(explained, { cause: error })
    })
    await out.sync()
  } catch (error) {
    await rm(outPath, { force: true })
    throw error
  }
}

/** A file without a name: whatever ends this program, nothing is left of it. It is never brought to the disk on purpose. */
async function openScratch(path: string) {
  const handle = await open(path, 'w+', 0o600)
  await rm(path)
  let sizeBytes = 0
  return {
    handle,
    async append(bytes: Uint8Array): Promise<void> {
      for (let done = 0; done < bytes.byteLength; ) {
        const { bytesWritten } = await handle.write(bytes, done, bytes.byteLength - done, sizeBytes)
        done += bytesWritten
        sizeBytes += bytesWritten
      }
    },
    read: (offsetBytes: number, into: Buffer) =>
      readWhole(handle, into, offsetBytes, 'what was unpacked ends too early'),
  }
}

/** That somebody has written to a partition, or flashed something else; undefined: it is as it was released. */
async function sourceProblem(
  handle: FileHandle,
  { name, sizeBytes, sha256 }: DeltaSource,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const hash = createHash('sha256')
  const chunk = Buffer.allocUnsafeSlow(chunkBytes)
  for (let at = 0; at < sizeBytes; at += chunkBytes) {
    signal?.throwIfAborted()
    const piece = chunk.subarray(0, Math.min(chunkBytes, sizeBytes - at))
    await readWhole(handle, piece, at, `the ${name} partition is smaller than the delta says`)
    hash.update(piece)
  }
  return hash.digest('hex') === sha256
    ? undefined
    : `the ${name} partition is not what was released as the version that runs`
}

async function readWhole(handle: FileHandle, into: Buffer, position: number, problem: string): Promise<void> {
  for (let filled = 0; filled < into.byteLength; ) {
    const { bytesRead } = await handle.read(into, filled, into.byteLength - filled, position + filled)
    if (bytesRead === 0) throw new DeltaError(problem)
    filled += bytesRead
  }
}

/** Appends, and brings it to the disk now and then: a whole bundle in the page cache would push out everything else. */
class SyncedWriter {
  readonly #file: FileHandle
  #unsyncedBytes = 0

  constructor(file: FileHandle) {
    this.#file = file
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.byteLength; ) {
      done += (await this.#file.write(bytes, done, bytes.byteLength - done)).bytesWritten
    }
    this.#unsyncedBytes += bytes.byteLength
    if (this.#unsyncedBytes < downloadLimits.syncEveryBytes) return
    await this.#file.datasync()
    this.#unsyncedBytes = 0
  }
}

async function requireFree({ outPath, reserveBytes }: RebuildOptions, wantedBytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(dirname(outPath))
  const neededBytes = wantedBytes + (reserveBytes ?? downloadLimits.reserveBytes)
  if (bavail * bsize >= neededBytes) return
  const mebibytes = (bytes: number) => `${Math.floor(bytes / (1 << 20))} MiB`
  const reason = `not enough space to make the bundle: ${mebibytes(bavail * bsize)} are free, ${mebibytes(neededBytes)} are needed`
  // Nothing is wrong with the delta; with more space it is tried again.
  throw Object.assign(new Error(reason), { code: 'ENOSPC' })
}
