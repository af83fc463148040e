import { mkdir, open, rename, rm, stat, statfs, truncate } from 'node:fs/promises'
import { dirname } from 'node:path'
import { type Authorities, type AuthorityPaths, readAuthorities } from './authorities.ts'
import { parseContentRange } from './content-range.ts'
import { type DownloadLimits, downloadLimits } from './download-limits.ts'
import {
  type DownloadState,
  readDownloadState,
  removeDownloadState,
  writeDownloadState,
} from './download-state.ts'
import { Pace } from './pace.ts'
import { RateLimit } from './rate-limit.ts'
import { get, type Response, requireStatus } from './request.ts'
import { explainNetworkError, UpdateServerError } from './server-error.ts'
import { strongValidator } from './validator.ts'

export interface DownloadOptions {
  readonly url: string
  /** Of the bundle; a part of another version is not gone on with. */
  readonly version: string
  /** Final name. While it comes, the file is `<path>.part`, what is known of it `<path>.part.json`. */
  readonly path: string
  readonly authorities: AuthorityPaths
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: (bytes: number, totalBytes: number | undefined) => void
  readonly limits?: Partial<DownloadLimits>
  /** Not faster than that on average; undefined: as fast as it comes. */
  readonly bytesPerSMax?: number | undefined
  /** Free space of the disk that a folder is on, for tests. */
  readonly freeBytes?: (folder: string) => Promise<number>
}

/** What one download works with. */
interface Job extends Omit<DownloadOptions, 'limits' | 'signal' | 'authorities'> {
  readonly limits: DownloadLimits
  readonly freeBytes: (folder: string) => Promise<number>
  readonly folder: string
  readonly partPath: string
  readonly statePath: string
  readonly pace: Pace
  readonly signal: AbortSignal
  readonly authorities: Authorities
}

/** A body that is about to be written behind `startBytes` of the part. */
interface Opened {
  readonly response: Response
  readonly startBytes: number
  readonly totalBytes: number | undefined
  readonly validator: string | undefined
}

/**
 * Brings a file from a server that is not trusted to behave. Fails with an UpdateServerError and leaves nothing then,
 * or a part that the next call with the same address and version goes on with. Whether the bytes are a good bundle,
 * its signature tells.
 */
export async function download(options: DownloadOptions): Promise<void> {
  const limits = { ...downloadLimits, ...options.limits }
  using pace = new Pace(options.url, limits)
  const partPath = `${options.path}.part`
  const statePath = `${partPath}.json`
  let keepPart = true
  try {
    const job: Job = {
      ...options,
      limits,
      freeBytes: options.freeBytes ?? freeBytesOf,
      folder: dirname(options.path),
      partPath,
      statePath,
      pace,
      signal: options.signal ? AbortSignal.any([options.signal, pace.signal]) : pace.signal,
      authorities: await readAuthorities(options.authorities),
    }
    await mkdir(job.folder, { recursive: true })
    // What an earlier version left under the final name only takes room.
    await rm(job.path, { force: true })
    const kept = await resumable(job)
    if (kept === undefined || kept.syncedBytes < kept.totalBytes) await bring(job, kept)
    await rename(partPath, options.path)
    await removeDownloadState(statePath)
    await syncFolder(job.folder)
  } catch (cause) {
    const error = explain(cause, { options, pace })
    keepPart = error.kind !== 'disk' && error.kind !== 'too-large'
    throw error
  } finally {
    // Without its description a part is of no use, and a full disk or a liar is not helped by keeping it.
    const wanted = { url: options.url, version: options.version }
    if (!keepPart || (await readDownloadState(statePath, wanted)) === undefined) {
      await rm(partPath, { force: true }).catch(() => {})
      await removeDownloadState(statePath).catch(() => {})
    }
  }
}

async function resumable(job: Job): Promise<DownloadState | undefined> {
  const state = await readDownloadState(job.statePath, job)
  const part = await stat(job.partPath).catch(() => undefined)
  if (state !== undefined && state.syncedBytes > 0 && part !== undefined && part.size >= state.syncedBytes) {
    await truncate(job.partPath, state.syncedBytes)
    return state
  }
  await removeDownloadState(job.statePath)
  await rm(job.partPath, { force: true })
  return undefined
}

async function bring(job: Job, kept: DownloadState | undefined): Promise<void> {
  const opened = kept === undefined ? await openWhole(job) : await openRest(job, kept)
  const { message } = opened.response
  try {
    const missingBytes = opened.totalBytes === undefined ? 0 : opened.totalBytes - opened.startBytes
    if ((opened.totalBytes ?? 0) > job.limits.sizeBytesMax) throw tooLarge(job)
    await requireFree(job, missingBytes + job.limits.reserveBytes)
    await writeBody(job, opened)
  } finally {
    message.destroy()
  }
}

async function openWhole(job: Job): Promise<Opened> {
  const response = await get(job.url, { ...job, headers: {} })
  requireStatus(response, [200])
  return wholeOf(response)
}

/** The rest of what is there, when the server still has the same bytes and sends just these; else the whole. */
async function openRest(job: Job, kept: DownloadState): Promise<Opened> {
  const headers = { Range: `bytes=${kept.syncedBytes}-`, 'If-Range': kept.validator }
  const response = await get(job.url, { ...job, headers })
  const { statusCode } = response.message
  const { totalBytes, validator } = kept
  if (statusCode === 206 && sendsTheRest(response, kept)) {
    requireStatus(response, [206])
    return { response, startBytes: kept.syncedBytes, totalBytes, validator }
  }
  if (statusCode === 206 || statusCode === 416) {
    response.message.destroy()
    return openWhole(job)
  }
  requireStatus(response, [200])
  return wholeOf(response)
}

function sendsTheRest({ message: { headers } }: Response, kept: DownloadState): boolean {
  const range = parseContentRange(headers['content-range'])
  const lengthBytes = contentLength(headers['content-length'])
  return (
    range !== undefined &&
    range.startBytes === kept.syncedBytes &&
    range.endBytes === kept.totalBytes &&
    range.totalBytes === kept.totalBytes &&
    (lengthBytes === undefined || lengthBytes === kept.totalBytes - kept.syncedBytes) &&
    (headers.etag === undefined || !kept.validator.startsWith('"') || headers.etag === kept.validator)
  )
}

function wholeOf(response: Response): Opened {
  const { headers } = response.message
  return {
    response,
    startBytes: 0,
    totalBytes: contentLength(headers['content-length']),
    validator: strongValidator(headers),
  }
}

function contentLength(header: string | undefined): number | undefined {
  return header !== undefined && /^\d{1,15}$/.test(header) ? Number(header) : undefined
}

async function writeBody(job: Job, opened: Opened): Promise<void> {
  const { totalBytes, validator } = opened
  let bytes = opened.startBytes
  let syncedBytes = bytes
  if (bytes === 0) {
    // What is known of an earlier part must not outlive it, not even through a power cut.
    await removeDownloadState(job.statePath)
    await syncFolder(job.folder)
  }
  const limit = job.bytesPerSMax === undefined ? undefined : new RateLimit(job.bytesPerSMax)
  const part = await open(job.partPath, bytes === 0 ? 'w' : 'r+', 0o600)
  const sync = async () => {
    await part.datasync()
    syncedBytes = bytes
    if (validator === undefined || totalBytes === undefined) return
    const { url, version } = job
    await writeDownloadState(job.statePath, { url, version, validator, totalBytes, syncedBytes })
  }
  try {
    job.onProgress?.(bytes, totalBytes)
    for await (const chunk of opened.response.message as AsyncIterable<Buffer>) {
      job.pace.came(chunk.length)
      if (bytes + chunk.length > Math.min(totalBytes ?? Infinity, job.limits.sizeBytesMax))
        throw tooLarge(job)
      const position = bytes
      await job.pace.write(async () => {
        await writeAll(part, chunk, position)
        bytes += chunk.length
        if (bytes - syncedBytes < job.limits.syncEveryBytes) return
        await requireFree(job, job.limits.reserveBytes)
        await sync()
      })
      // Our own pause, too, is not the server's silence.
      if (limit !== undefined) await job.pace.write(() => limit.came(chunk.length, job.signal))
      job.onProgress?.(bytes, totalBytes)
      job.signal.throwIfAborted()
    }
    if (totalBytes !== undefined && bytes !== totalBytes) {
      throw new UpdateServerError('network', `${bytes} bytes came of ${totalBytes}`, { url: job.url })
    }
    if (bytes === 0) throw new UpdateServerError('answer', 'the bundle is empty', { url: job.url })
    await part.sync()
  } catch (error) {
    // What came so far is kept for the next time; a disk that fails here fails for the first reason.
    if (bytes > syncedBytes) await sync().catch(() => {})
    throw error
  } finally {
    await part.close()
  }
}

async function writeAll(
  part: Awaited<ReturnType<typeof open>>,
  chunk: Buffer,
  position: number,
): Promise<void> {
  for (let done = 0; done < chunk.length; ) {
    done += (await part.write(chunk, done, chunk.length - done, position + done)).bytesWritten
  }
}

async function requireFree(job: Job, neededBytes: number): Promise<void> {
  const freeBytes = await job.freeBytes(job.folder)
  if (freeBytes >= neededBytes) return
  const mebibytes = (bytes: number) => `${Math.floor(bytes / (1 << 20))} MiB`
  const reason =
    `not enough space in ${job.folder}: ${mebibytes(freeBytes)} are free, ${mebibytes(neededBytes)} are needed, ` +
    `of which ${mebibytes(job.limits.reserveBytes)} stay free`
  throw new UpdateServerError('disk', reason, { url: job.url })
}

async function freeBytesOf(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder)
  return bavail * bsize
}

function tooLarge(job: Job): UpdateServerError {
  const reason = `the bundle is larger than announced or than ${job.limits.sizeBytesMax} bytes`
  return new UpdateServerError('too-large', reason, { url: job.url })
}

const diskCodes = new Set(
  'ENOSPC EDQUOT EROFS EIO EACCES EPERM EEXIST ENOENT ENOTDIR EISDIR EFBIG EUCLEAN'.split(' '),
)

function explain(
  cause: unknown,
  { options, pace }: { options: DownloadOptions; pace: Pace },
): UpdateServerError {
  const { url } = options
  if (cause instanceof UpdateServerError) return cause
  if (pace.signal.aborted) return pace.signal.reason as UpdateServerError
  if (options.signal?.aborted) {
    return new UpdateServerError('stopped', 'the download was stopped', { url, cause: options.signal.reason })
  }
  const { code, syscall, message } = cause as NodeJS.ErrnoException
  if (code !== undefined && diskCodes.has(code) && syscall !== 'connect') {
    return new UpdateServerError('disk', `the bundle can't be written: ${message}`, { url, code, cause })
  }
  return explainNetworkError(cause, url)
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
