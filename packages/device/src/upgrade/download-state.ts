import { readFile, rm } from 'node:fs/promises'
import { writeDurably } from '../durable-file.ts'

/** Stands beside a part that can be gone on with. */
export interface DownloadState {
  readonly url: string
  readonly version: string
  /** Strong ETag or Last-Modified of the bytes in the part. */
  readonly validator: string
  readonly totalBytes: number
  /** What is certain to be on the disk. Behind it, a power cut may have left anything. */
  readonly syncedBytes: number
}

/** undefined for a file that is missing, broken or about something else. */
export async function readDownloadState(
  path: string,
  wanted: { url: string; version: string },
): Promise<DownloadState | undefined> {
  try {
    const state = JSON.parse(await readFile(path, 'utf8')) as Partial<Record<keyof DownloadState, unknown>>
    const { url, version, validator, totalBytes, syncedBytes } = state
    if (url !== wanted.url || version !== wanted.version || typeof validator !== 'string') return undefined
    if (!isCount(totalBytes) || !isCount(syncedBytes) || syncedBytes > totalBytes) return undefined
    return { ...wanted, validator, totalBytes, syncedBytes }
  } catch {
    return undefined
  }
}

export function writeDownloadState(path: string, state: DownloadState): Promise<void> {
  return writeDurably(path, `${JSON.stringify(state)}\n`)
}

export async function removeDownloadState(path: string): Promise<void> {
  for (const name of [path, `${path}.new`]) await rm(name, { force: true })
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
