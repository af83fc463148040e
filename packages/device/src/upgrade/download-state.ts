import { open, readFile, rename, rm } from 'node:fs/promises'

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

export async function writeDownloadState(path: string, state: DownloadState): Promise<void> {
  const next = `${path}.next`
  const file = await open(next, 'w', 0o600)
  try {
    await file.writeFile(`${JSON.stringify(state)}\n`)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(next, path)
}

export async function removeDownloadState(path: string): Promise<void> {
  for (const name of [path, `${path}.next`]) await rm(name, { force: true })
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
